"""Which files of a site's data folder hold genomics. Of several for one thing the first is read, the others are not."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from client.prepare.report import PrepareReport
from shared.cohort.tables import AuxTable

__all__ = ["Source", "aux_source", "expression_source", "record_unread", "star_files", "star_sheets"]

STAR_SUFFIX = ".rna_seq.augmented_star_gene_counts.tsv"
MATRICES = ("expression.tsv", "expression.tsv.gz", "expression.csv", "expression.csv.gz")
STAR_FOLDER = "expression"

AUX_FILES: dict[AuxTable, tuple[str, ...]] = {
    "mutations": (
        "mutations.tsv",
        "mutations.tsv.gz",
        "mutations.csv",
        "mutations.csv.gz",
        "mutations.maf",
        "mutations.maf.gz",
    ),
    "copy_number": (
        "copy_number.tsv",
        "copy_number.tsv.gz",
        "copy_number.csv",
        "copy_number.csv.gz",
        "all_thresholded.by_genes.txt",
    ),
}
SEQUENCED = "mutations_sequenced.txt"

BESIDE_STAR = re.compile(r"samples\.tsv|gdc_sample_sheet.*\.tsv|gdc_manifest.*|MANIFEST\.txt|annotations\.txt|\..*")
"""Files of the folder of STAR counts that hold no counts: tables of samples, and what GDC's client adds."""


@dataclass(frozen=True)
class Source:
    """A file, or the folder of STAR counts, and the sources that it keeps from being read."""

    path: Path
    others: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As the report names it."""
        return f"{self.path.name}/" if self.path.is_dir() else self.path.name

    def record(self, report: PrepareReport) -> None:
        """A row for every source that is not read."""
        for name in self.others:
            report.add(name, "left out", f"{self.name} is there and comes first; remove one of the two")


def expression_source(data: Path) -> Source | None:
    """expression.tsv or .csv (gzipped or not), else the folder expression/ if it has STAR counts."""
    found = _there(data, MATRICES)
    if star_files(data):
        found.append(data / STAR_FOLDER)
    return _first(found)


def aux_source(data: Path, table: AuxTable) -> Source | None:
    """A table of patients by genes, else a MAF or GISTIC's thresholded table."""
    return _first(_there(data, AUX_FILES[table]))


def record_unread(data: Path, table: Literal["expression"] | AuxTable, report: PrepareReport) -> None:
    """A row for every file that is called like a source of `table` but is in no format that is read."""
    read = MATRICES if table == "expression" else AUX_FILES[table]
    for path in sorted(data.glob(f"{table}.*")):
        if path.is_file() and path.name not in read:
            report.add(path.name, "left out", f"not read: expected one of {', '.join(read)}; export it as one of them")
    if table == "expression":
        folder, known = data / STAR_FOLDER, set(star_files(data).values())
        for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
            if path.is_file() and path not in known and not BESIDE_STAR.fullmatch(path.name):
                name = path.relative_to(data).as_posix()
                report.add(name, "left out", f"not read: expected a file called *{STAR_SUFFIX}; keep GDC's file names")


def star_files(data: Path) -> dict[str, Path]:
    """Name without .gz -> path of the STAR counts in expression/ or, as GDC's client saves them, one folder below."""
    folder = data / STAR_FOLDER
    found = [*folder.glob(f"*{STAR_SUFFIX}*"), *folder.glob(f"*/*{STAR_SUFFIX}*")]
    return {path.name.removesuffix(".gz"): path for path in sorted(found) if path.name.endswith((".tsv", ".tsv.gz"))}


def star_sheets(data: Path) -> list[Path]:
    """Tables that say whose sample a STAR file is: expression/samples.tsv alone, else every GDC sample sheet."""
    own = data / STAR_FOLDER / "samples.tsv"
    folders = (data, data / STAR_FOLDER)
    return [own] if own.is_file() else [p for folder in folders for p in sorted(folder.glob("gdc_sample_sheet*.tsv"))]


def _there(data: Path, names: tuple[str, ...]) -> list[Path]:
    return [data / name for name in names if (data / name).is_file()]


def _first(found: list[Path]) -> Source | None:
    if not found:
        return None
    return Source(found[0], tuple(Source(path).name for path in found[1:]))
