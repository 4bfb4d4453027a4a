"""The files of a cohort folder, or of a site's data folder, read and validated (ARCHITECTURE.md section 6).

Faults are named by line and column, never by case_id, so that an error may stand in a log.
"""

import re
from pathlib import Path
from typing import Literal

import pandas as pd

from shared.cohort.sheets import find_file, read_matrix, read_sheet, refuse, require_columns
from shared.errors import CohortError

__all__ = [
    "AUX_TABLES",
    "SLIDE_SUFFIXES",
    "aux_columns",
    "read_blood",
    "read_clinical",
    "read_exclusions",
    "read_expression",
    "read_patients_by_genes",
    "read_slides",
]

AuxTable = Literal["mutations", "copy_number"]
AUX_TABLES: tuple[AuxTable, ...] = ("mutations", "copy_number")

CASE_ID = re.compile(r"[A-Za-z0-9._-]+")
SLIDE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

SLIDE_SUFFIXES = (".svs", ".tiff", ".tif", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide")
"""What a slide file may end with; where several fit, the first."""


def read_clinical(folder: Path) -> pd.DataFrame:
    """Read clinical.tsv: one row a patient, every column strings ("" where missing), sorted by case_id.

    Raises
    ------
    CohortError
        The file or its case_id column is missing, it has no patient, or a case_id is empty, malformed or repeated.
    """
    path = folder / "clinical.tsv"
    if not path.is_file():
        raise CohortError(
            f"{folder}: expected clinical.tsv with a column case_id and one row a patient, got no such file; "
            "write it, or correct site.data in the site file"
        )
    sheet = read_sheet(path)
    require_columns(path, sheet, ["case_id"])
    refuse(path, [*_id_faults(sheet["case_id"], "case_id", CASE_ID), *_repeats(sheet["case_id"], "case_id")])
    if sheet.empty:
        raise CohortError(f"{path}: expected at least one patient, got none; write one row a patient")
    reserved = [name for name in sheet.columns if name == "key" or name.startswith("absent_")]
    refuse(path, [f"line 1: expected no column {name!r}, which mmfed writes itself; rename it" for name in reserved])
    return sheet.sort_values("case_id", kind="stable", ignore_index=True)


def read_expression(folder: Path) -> pd.DataFrame | None:
    """Read expression.tsv[.gz]: (genes, patients) float64, NaN where missing; None if the folder has no such file.

    Raises
    ------
    CohortError
        A gene stands twice or has no symbol, a patient stands twice, a cell is no finite number.
    """
    path = find_file(folder, "expression.tsv", "expression.tsv.gz")
    if path is None:
        return None
    table = read_matrix(path)
    refuse(path, _repeats(_names(table), "gene"))
    return table


def read_patients_by_genes(folder: Path, name: AuxTable) -> pd.DataFrame | None:
    """Read mutations.tsv[.gz] or copy_number.tsv[.gz]: (patients, genes) float64, NaN where missing; None if not there.

    Raises
    ------
    CohortError
        A patient or a gene stands twice, a cell is no finite number.
    """
    path = find_file(folder, f"{name}.tsv", f"{name}.tsv.gz")
    if path is None:
        return None
    table = read_matrix(path)
    refuse(path, _repeats(_names(table), "case_id"))
    return table


def aux_columns(folder: Path, aux: tuple[AuxTable, ...]) -> tuple[str, ...]:
    """The columns `<table>:<gene>` that the tables `aux` have in `folder`, in file order; a missing table has none."""
    tables = ((name, read_patients_by_genes(folder, name)) for name in aux)
    return tuple(f"{name}:{gene}" for name, table in tables if table is not None for gene in table.columns)


def read_blood(folder: Path) -> pd.DataFrame | None:
    """Read blood.csv: one row a result, all strings, indexed by line number; None if the folder has no such file.

    Columns: case_id, analyte, value, unit, ref_low, ref_high, collected ("" throughout if the file lacks it).
    """
    path = find_file(folder, "blood.csv", "blood.csv.gz")
    if path is None:
        return None
    sheet = read_sheet(path)
    require_columns(path, sheet, ["case_id", "analyte", "value", "unit", "ref_low", "ref_high"])
    return sheet if "collected" in sheet.columns else sheet.assign(collected="")


def read_slides(folder: Path) -> pd.DataFrame | None:
    """Read slides.tsv: case_id, slide_id (without suffix), path (None: no such file); None without the table.

    Sorted by case_id and slide_id. A slide_id may be written with or without the suffix of its file under slides/.

    Raises
    ------
    CohortError
        A slide_id is malformed or stands twice: a slide belongs to one patient.
    """
    path = find_file(folder, "slides.tsv")
    if path is None:
        return None
    sheet = read_sheet(path)
    require_columns(path, sheet, ["case_id", "slide_id"])
    stems = sheet["slide_id"].map(_without_suffix)
    refuse(path, [*_id_faults(sheet["slide_id"], "slide_id", SLIDE_ID), *_repeats(stems, "slide_id")])
    slides = folder / "slides"
    files = {file.name: file for file in sorted(slides.iterdir())} if slides.is_dir() else {}
    paths = [_slide_file(files, name) for name in sheet["slide_id"]]
    table = pd.DataFrame({"case_id": list(sheet["case_id"]), "slide_id": list(stems)})
    table["path"] = pd.Series(paths, dtype=object)
    return table.sort_values(["case_id", "slide_id"], kind="stable", ignore_index=True)


def read_exclusions(folder: Path) -> frozenset[str]:
    """The case ids in exclude.csv (case_id, date, reason); none if the folder has no such file."""
    path = find_file(folder, "exclude.csv")
    if path is None:
        return frozenset()
    sheet = read_sheet(path)
    require_columns(path, sheet, ["case_id"])
    return frozenset(sheet["case_id"])


def _names(table: pd.DataFrame) -> "pd.Series[str]":
    """The first column of a matrix, indexed by line."""
    return pd.Series(list(table.index), index=range(2, len(table) + 2), dtype=object)


def _without_suffix(slide_id: str) -> str:
    suffix = next((s for s in SLIDE_SUFFIXES if slide_id.lower().endswith(s)), "")
    return slide_id[: len(slide_id) - len(suffix)]


def _slide_file(files: dict[str, Path], slide_id: str) -> Path | None:
    names = [slide_id, *(slide_id + suffix for suffix in SLIDE_SUFFIXES)]
    return next((files[name] for name in names if name in files and files[name].is_file()), None)


def _id_faults(column: "pd.Series[str]", name: str, pattern: re.Pattern[str]) -> list[str]:
    faults = []
    for line, value in column.items():
        if not pattern.fullmatch(value):
            got = "other characters" if value else "nothing"
            faults.append(f"line {line}: expected a {name} of letters, digits, '.', '_' and '-', got {got}; correct it")
    return faults


def _repeats(column: "pd.Series[str]", name: str) -> list[str]:
    """Faults of a column (indexed by line) whose values must be there and stand once; genes are named, patients not."""
    faults = []
    first: dict[str, object] = {}
    for line, value in column.items():
        if value in first:
            which = f" {value!r}" if name == "gene" else ""
            faults.append(
                f"line {line}: expected every {name} once, got{which} again (first: line {first[value]}); remove one"
            )
        first.setdefault(value, line)
    return faults
