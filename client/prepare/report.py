"""prepare-report.csv: every input of a site, what became of it and why. The one file that names patients by case_id."""

import csv
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, field, fields
from pathlib import Path
from typing import Literal

from shared.cohort.drafts import replacing
from shared.cohort.folders import readable
from shared.digests import canonical_json

__all__ = ["Coverage", "PrepareReport", "Progress", "ReportRow", "State"]

State = Literal["used", "noted", "left out"]
"""`used`: in the store. `noted`: nothing is lost, but worth knowing. `left out`: an input that is not in the store."""

Progress = Callable[[str, int, int], None]
"""Called with (what, done, total)."""

QUOTED = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
"""A cell as a reason quotes it."""

CELLS = re.compile(r"\b(?:got|such as) ")
"""What stands before cells; what is quoted before it are the names of columns and the like."""

PATH = re.compile(
    r"""(?<![^\s'"(=])/[^\s/;:'")][^;:'")\n]*"""  # from the root: to the next mark, as folders may have blanks
    r"""|(?<![\w/])\.{0,2}/?(?:[\w.~-]+/)+[\w.~-]*\.\w+"""  # from here: words with a suffix at the end
)

LINE = re.compile(r"\bline \d+")

FAULTS_OF_A_FILE = re.compile(r"^\.\.\.: \d+ faults?; ")
"""How the reason begins that is about a whole file, after its path is gone."""

STATES: dict[str, State] = {"used": "used", "noted": "noted", "left out": "left out"}


@dataclass(frozen=True)
class ReportRow:
    """One input. `key` and `case_id` are empty where a row is about a whole file."""

    key: str
    case_id: str
    file: str
    state: State
    reason: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Coverage:
    """How much of what a study asks for was found: genes of a group, patients with an analyte."""

    modality: str
    name: str
    found: int
    total: int


@dataclass
class PrepareReport:
    """What `prepare` did at one site."""

    store: Path
    rows: list[ReportRow] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)
    reused: bool = False  # the store was there already and fits
    finished: bool = True  # False: some modalities only, so the store is not finished yet
    patients: int = 0  # in the store
    held: dict[str, int] = field(default_factory=dict)  # modality -> patients of the store who have it

    @property
    def left_out(self) -> int:
        """Inputs that are not in the store; above 0 the command ends with exit code 3."""
        return self.counts["left out"]

    @property
    def counts(self) -> Counter[str]:
        """State -> number of inputs."""
        return Counter(row.state for row in self.rows)

    def lines(self) -> list[str]:
        """The outcome as plain text that names no patient: counts, why inputs were left out, what the store holds.

        Reasons that differ in a line, a quoted cell or a path alone are one; prepare-report.csv has them whole.
        """
        counts = self.counts
        head = ", ".join(f"{counts[state]} {state}" for state in STATES)
        reasons = Counter((_source(row.file), _form(row.reason)) for row in self.rows if row.state == "left out")
        lines = [f"inputs: {head}"]
        lines += [f"  {count} x {source}: {reason}" for (source, reason), count in sorted(reasons.items())]
        if not self.finished:
            return [*lines, "not finished yet: run `prepare` without --only"]
        done = "feature store reused, nothing had changed" if self.reused else "feature store written"
        held = ", ".join(f"{name} of {count}" for name, count in self.held.items())
        lines.append(f"{done}: {self.patients} patients, {held}" if self.held else done)
        lacking = ", ".join(name for name, count in self.held.items() if not count)
        return lines + ([f"warning: nobody has {lacking}, which this site therefore will not train"] if lacking else [])

    def add(
        self, file: str, state: State, reason: str, *, key: str = "", case_id: str = "", seconds: float = 0.0
    ) -> None:
        """Append one row."""
        self.rows.append(ReportRow(key, case_id, readable(file), state, readable(reason), round(seconds, 3)))

    def cover(self, modality: str, name: str, found: int, total: int) -> None:
        """Record how much of `name` (a gene group, an analyte) this site has."""
        self.coverage.append(Coverage(modality, name, found, total))

    def write(self, path: Path) -> None:
        """Write the rows as CSV."""
        with replacing(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([column.name for column in fields(ReportRow)])
            writer.writerows(astuple(row) for row in self.rows)

    def save(self, path: Path) -> None:
        """Keep the report as JSON, for `load` when the store is reused."""
        content = {"rows": [asdict(row) for row in self.rows], "coverage": [asdict(part) for part in self.coverage]}
        with replacing(path) as draft:
            draft.write_text(canonical_json(content), encoding="utf-8")

    @classmethod
    def load(cls, path: Path, store: Path) -> "PrepareReport | None":
        """What `save` kept, as the report of a store that was reused; None if there is none, or a damaged one."""
        try:
            content = json.loads(path.read_bytes())
            rows = [ReportRow(**row) for row in content["rows"]]
            return cls(store, rows, [Coverage(**part) for part in content["coverage"]], reused=True)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @classmethod
    def read(cls, path: Path, store: Path) -> "PrepareReport | None":
        """The rows of a prepare-report.csv; None if there is none, or a damaged one."""
        try:
            with path.open(encoding="utf-8", newline="") as file:
                return cls(store, [_row(cells) for cells in csv.DictReader(file)])
        except (OSError, ValueError, KeyError, TypeError, csv.Error):
            return None


def _row(cells: dict[str, str]) -> ReportRow:
    state = STATES[cells["state"]]
    return ReportRow(cells["key"], cells["case_id"], cells["file"], state, cells["reason"], float(cells["seconds"]))


def _source(file: str) -> str:
    """The table or folder an input belongs to: names of samples and slides may be those of patients."""
    table = file.partition(": ")[0]
    folder, slash, _ = table.partition("/")
    return folder + slash


def _form(reason: str) -> str:
    """A reason without what it says of one patient: cells that were got, places and lines."""
    quoting = CELLS.search(reason)
    begin = quoting.end() if quoting else len(reason)
    text = reason[:begin] + QUOTED.sub("'...'", reason[begin:])
    return FAULTS_OF_A_FILE.sub("", LINE.sub("line ...", PATH.sub("...", text)))
