"""The files of a cohort folder, or of a site's data folder, read and validated (ARCHITECTURE.md section 6).

Faults are named by line and column, never by case_id, so that an error may stand in a log.
"""

import math
import re
from pathlib import Path
from typing import Literal

import pandas as pd

from shared.cohort.folders import content, is_file
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
    "slide_id_of",
]

AuxTable = Literal["mutations", "copy_number"]
AUX_TABLES: tuple[AuxTable, ...] = ("mutations", "copy_number")

CASE_ID = re.compile(r"[A-Za-z0-9._-]+")
SLIDE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
DECIMAL_COMMA = re.compile(r"\d+,\d+")

SLIDE_SUFFIXES = (".svs", ".tiff", ".tif", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".czi", ".dcm")
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

    Columns: case_id, analyte, value, unit, ref_low, ref_high, collected; the last three "" throughout if the file
    lacks them.
    """
    path = find_file(folder, "blood.csv", "blood.csv.gz")
    if path is None:
        return None
    sheet = read_sheet(path, ragged=[])  # `prepare` says which lines it leaves out
    require_columns(path, sheet, ["case_id", "analyte", "value", "unit"])
    return sheet.assign(**{name: "" for name in ("ref_low", "ref_high", "collected") if name not in sheet.columns})


def read_slides(folder: Path) -> pd.DataFrame | None:
    """Read slides.tsv: one row a slide, sorted by case_id and slide_id; None without the table.

    Columns: case_id; slide_id, without suffix; path, the file slides/<slide_id>.<suffix> or, of a DICOM series, the
    first file of the folder slides/<slide_id>/ (None: no such file); features, the file
    features/slides/<slide_id>.h5 that another tool wrote (None: no such file); mpp, what the optional column mpp says
    in um per pixel of level 0 (NaN: nothing), whether plausible or not. A slide_id may be written with or without the
    suffix of its file, whose capitals do not count.

    Raises
    ------
    CohortError
        A slide_id is malformed or stands twice, since a slide belongs to one patient, or a folder cannot be read.
    """
    path = find_file(folder, "slides.tsv")
    if path is None:
        return None
    sheet = read_sheet(path)
    require_columns(path, sheet, ["case_id", "slide_id"])
    stems = sheet["slide_id"].map(slide_id_of)
    faults = [*_id_faults(sheet["slide_id"], "slide_id", SLIDE_ID), *_repeats(stems, "slide_id")]
    written = sheet["mpp"] if "mpp" in sheet.columns else pd.Series("", index=sheet.index)
    refuse(path, faults)
    mpp_faults = [_mpp_fault(line, cell) for line, cell in written.items()]
    files, features = _by_name(folder / "slides"), _by_name(folder / "features" / "slides")
    table = pd.DataFrame({"case_id": list(sheet["case_id"]), "slide_id": list(stems)})
    table["path"] = pd.Series([_slide_file(files, name) for name in sheet["slide_id"]], dtype=object)
    table["features"] = pd.Series([_features_file(features, f"{stem}.h5") for stem in stems], dtype=object)
    cells = zip(written, mpp_faults, strict=True)
    table["mpp"] = [math.nan if fault or not cell else float(cell) for cell, fault in cells]
    table["fault"] = mpp_faults
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


def slide_id_of(name: str) -> str:
    """The slide_id of a slide, or of its features made elsewhere, by the name of its file or folder."""
    suffix = next((s for s in (*SLIDE_SUFFIXES, ".h5") if name.lower().endswith(s)), "")
    return name[: len(name) - len(suffix)]


def _by_name(folder: Path) -> dict[str, Path]:
    """What lies in a folder, by name and by name with its suffix in small letters; an exact name goes first."""
    found = content(folder)
    return {_small(path.name): path for path in reversed(found)} | {path.name: path for path in found}


def _small(name: str) -> str:
    """A name with the suffix of a slide in small letters, as X.SVS is the slide X.svs."""
    stem = slide_id_of(name)
    return stem + name[len(stem) :].lower()


def _slide_file(found: dict[str, Path], slide_id: str) -> Path | None:
    """The slide's file, else the first file of its DICOM series."""
    names = [slide_id, _small(slide_id), *(slide_id + suffix for suffix in SLIDE_SUFFIXES)]
    file = next((found[name] for name in names if name in found and is_file(found[name])), None)
    if file is not None or slide_id not in found:
        return file
    try:
        series = [part for part in content(found[slide_id]) if part.suffix.lower() in (".dcm", "")]
    except CohortError:  # one folder that cannot be read costs its slide alone
        return None
    return min((part for part in series if is_file(part)), default=None)


def _features_file(found: dict[str, Path], name: str) -> Path | None:
    return found[name] if name in found and is_file(found[name]) else None


def _mpp_fault(line: object, cell: str) -> str:
    """What is wrong with a cell of the column mpp, "" if nothing is."""
    try:
        finite = math.isfinite(float(cell or 0))
    except ValueError:
        finite = False
    if finite:
        return ""
    advice = "write a decimal point" if DECIMAL_COMMA.fullmatch(cell) else "correct it, or leave the cell empty"
    return f"slides.tsv, line {line}: expected an mpp such as 0.25 (um per pixel), got {cell!r}; {advice}"


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
