"""What a row of a gene table is called: Ensembl ids, aliases, and names that a spreadsheet has destroyed."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.prepare.report import PrepareReport
from shared.cohort.sheets import read_sheet, refuse, require_columns
from shared.errors import CohortError
from shared.site import Site

__all__ = ["GeneNames", "GeneRows", "is_mangled", "some"]

ENSEMBL = re.compile(r"(ENS[A-Z]*G\d{11})(?:\.\d+)?")
PAR_Y = "_PAR_Y"

MONTHS = "jan|feb|mar|mrz|mär|apr|may|mai|jun|jul|aug|sept|sep|oct|okt|nov|dec|dez"
MANGLED = re.compile(
    rf"""\d{{1,2}}[-/.]?[ ]?(?:{MONTHS})\.?(?:[-/. ]\d{{2,4}})?   # 1-Mar, 01. Mrz, 1-Mar-01
    |(?:{MONTHS})[-/. ](?:\d{{1,2}}|(?:19|20)\d\d)                 # Mar-01, Sep 2001
    |\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?:[ T]00:00(?::00)?)?     # 2001/03/01
    |\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}                         # 3/1/2001, 01.03.2001
    |\d(?:[.,]\d+)?E\+\d+                                          # 2.31E+13, once 2310009E13
    """,
    re.VERBOSE | re.IGNORECASE,
)

NAMES_SHOWN = 10


@dataclass(frozen=True, eq=False)
class GeneRows:
    """The rows of a table that hold genes of the study (R of them), and what happened to the names of the others."""

    positions: NDArray[np.int64]  # (R,) rows of the table, in its order
    symbols: tuple[str, ...]  # R, with repeats where several rows are one gene
    mangled: tuple[str, ...] = ()
    unnamed: int = 0
    par_y: int = 0
    ensembl: int = 0  # rows that kept an Ensembl id for want of a symbol

    @property
    def repeated(self) -> tuple[str, ...]:
        """Genes of the study that have several rows."""
        return tuple(sorted(name for name, count in Counter(self.symbols).items() if count > 1))

    def record(self, file: str, duplicates: str, report: PrepareReport) -> None:
        """Rows of the report about names."""
        if self.mangled:
            report.add(
                file,
                "left out",
                f"{len(self.mangled)} gene names turned into dates or numbers by a spreadsheet: {some(self.mangled)}; "
                "export the table again with gene names as text, or write what they were into [expression] aliases",
            )
        if self.unnamed:
            report.add(file, "left out", f"{self.unnamed} rows without a gene name; name them")
        if self.par_y:
            report.add(file, "noted", f"{self.par_y} rows {PAR_Y} not used: their reads are counted on chromosome X")
        if self.ensembl and not self.symbols:
            report.add(
                file,
                "noted",
                f"{self.ensembl} rows are named by Ensembl ids and none by a gene of the study; "
                "give a table of ids and symbols as [expression] ensembl in the site file",
            )
        if self.repeated:
            rows = sum(name in set(self.repeated) for name in self.symbols)
            report.add(
                file,
                "noted",
                f"{rows} rows merged into {len(self.repeated)} genes, {_RULES[duplicates]}: {some(self.repeated)}",
            )


_RULES = {
    "mean": "the mean of their values as written",
    "max": "the largest of their values",
    "first": "the first value",
}


@dataclass(frozen=True)
class GeneNames:
    """The site's own tables of names."""

    ensembl: dict[str, str] = field(default_factory=dict)  # Ensembl id without version -> symbol
    aliases: dict[str, str] = field(default_factory=dict)  # name as written, or old symbol -> symbol

    @classmethod
    def read(cls, site: Site) -> "GeneNames":
        """Read the tables that [expression] names.

        `ensembl`: the first column holds Ensembl ids, the second symbols ("" = none); a header line is optional.
        `aliases`: columns `alias` and `symbol`.

        Raises
        ------
        CohortError
            A table is missing or malformed, or gives one name two symbols.
        """
        rules = site.expression
        return cls(
            _read_ensembl(_there(site.path(rules.ensembl), "ensembl")) if rules.ensembl else {},
            _read_aliases(_there(site.path(rules.aliases), "aliases")) if rules.aliases else {},
        )

    def symbol(self, label: str, written: str = "") -> str:
        """The gene of a row called `label`; `written` is the symbol that stands beside an Ensembl id.

        The alias table decides on the label as written first. Then an Ensembl id (its version does not matter) becomes
        the symbol of the site's mapping, else the one beside it, else stays. Last, aliases of that symbol.
        """
        if label in self.aliases:
            return self.aliases[label]
        match = ENSEMBL.fullmatch(label)
        name = label if match is None else self.ensembl.get(match[1]) or written or match[1]
        return self.aliases.get(name, name)

    def symbols(self, labels: Sequence[str], written: Sequence[str] = ()) -> frozenset[str]:
        """The genes that rows called `labels` hold."""
        beside = written or [""] * len(labels)
        names = {self.symbol(a, b) for a, b in zip(labels, beside, strict=True) if not a.endswith(PAR_Y)}
        return frozenset(name for name in names if name and not is_mangled(name))  # as `rows`, repeats of dates aside

    def rows(self, labels: Sequence[str], genes: Collection[str], written: Sequence[str] = ()) -> GeneRows:
        """Find the study's `genes` among the rows of a table.

        An alias of a destroyed name counts only where that name stands once: of two rows 1-Mar one was another gene.
        """
        wanted, several = frozenset(genes), {label for label, count in Counter(labels).items() if count > 1}
        positions, symbols, mangled = [], [], []
        unnamed = par_y = ensembl = 0
        for position, label in enumerate(labels):
            if label.endswith(PAR_Y):
                par_y += 1
                continue
            name = self.symbol(label, written[position] if written else "")
            if is_mangled(label) and (label in several or label not in self.aliases):
                mangled.append(label)
            elif name in wanted:
                positions.append(position)
                symbols.append(name)
            elif not name:
                unnamed += 1
            else:
                ensembl += ENSEMBL.fullmatch(name) is not None
        found = np.array(positions, dtype=np.int64)
        return GeneRows(found, tuple(symbols), tuple(mangled), unnamed, par_y, ensembl)


def is_mangled(name: str) -> bool:
    """Whether a gene name is one that a spreadsheet has turned into a date or a number.

    Such names are never restored: 1-Mar was MARCH1 or MARC1, and 2-Sep is SEPT2 in old lists, SEPTIN2 in new ones.
    """
    return MANGLED.fullmatch(name) is not None


def some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


def _there(path: Path, what: str) -> Path:
    if not path.is_file():
        raise CohortError(
            f"{path}: expected the table that [expression] {what} of the site file names, got no such file; "
            "copy it there or correct the site file"
        )
    return path


def _read_ensembl(path: Path) -> dict[str, str]:
    sheet = read_sheet(path)
    if len(sheet.columns) < 2:
        raise CohortError(f"{path}: expected two columns, Ensembl id and symbol, got one; add the symbols")
    pairs = {int(line): (row[0], row[1]) for line, row in zip(sheet.index, sheet.to_numpy().tolist(), strict=True)}
    if ENSEMBL.fullmatch(sheet.columns[0].removesuffix(PAR_Y)):
        pairs[1] = (sheet.columns[0], sheet.columns[1])
    faults, ids = [], {}
    for line, (label, symbol) in sorted(pairs.items()):
        match = ENSEMBL.fullmatch(label.removesuffix(PAR_Y))
        if match is None:
            faults.append(f"line {line}: expected an Ensembl gene id, got {label!r}; correct it")
        elif symbol:
            ids[line] = (match[1], symbol)
    refuse(path, faults or _contradictions(ids))
    return dict(ids.values())


def _read_aliases(path: Path) -> dict[str, str]:
    sheet = read_sheet(path)
    require_columns(path, sheet, ["alias", "symbol"])
    pairs = {int(i): (a, s) for i, a, s in zip(sheet.index, sheet["alias"], sheet["symbol"], strict=True)}
    empty = [
        f"line {i}: expected an alias and a symbol, got an empty cell; fill it" for i, p in pairs.items() if "" in p
    ]
    refuse(path, empty or _contradictions(pairs))
    return dict(pairs.values())


def _contradictions(pairs: dict[int, tuple[str, str]]) -> list[str]:
    """Lines (number -> name, symbol) that give a name another symbol than an earlier line."""
    faults, first = [], dict[str, tuple[int, str]]()
    for line, (name, symbol) in pairs.items():
        earlier, other = first.setdefault(name, (line, symbol))
        if other != symbol:
            faults.append(
                f"line {line}: expected one symbol for {name!r}, got {symbol!r} (line {earlier}: {other!r}); remove one"
            )
    return faults
