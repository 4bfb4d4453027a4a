"""Labels that the GDC does not have (PAM50, WHO grade, IDH and 1p/19q ...), joined from a table that a person names."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from client.prepare.expression.samples import assign
from shared.cohort.sheets import read_sheet, refuse
from shared.errors import CohortError
from simulations.spellings import several_spellings
from simulations.tcga.barcodes import other_programmes

__all__ = ["join_labels", "label_file"]

CASE_COLUMNS = (
    "case_id",
    "patient",
    "patient_id",
    "bcr_patient_barcode",
    "case_submitter_id",
    "submitter_id",
    "sample",
)
"""Where the barcodes are looked for, whatever the capitals, before the first column is taken."""


def label_file(option: str) -> tuple[Path, str]:
    """`FILE[:case_column]` as path and column ("" = found by name); CohortError if there is no such file."""
    path, column = Path(option), ""
    if not path.is_file() and ":" in option:
        before, _, column = option.rpartition(":")
        path = Path(before)
    if not path.is_file():
        raise CohortError(f"--labels: expected a table FILE or FILE:case_column, got no file {path}; check the path")
    return path, column


def join_labels(clinical: pd.DataFrame, path: Path, column: str = "") -> tuple[pd.DataFrame, list[str]]:
    """`clinical` with the table's other columns beside it, and sentences about who has no label.

    The table may name patients by longer barcodes, of samples or aliquots; a primary tumour goes first.

    Raises
    ------
    CohortError
        No patient is in the table, a column is there already, a patient stands twice with different labels, or a
        column writes one class in several ways.
    """
    sheet = read_sheet(path)
    column = column or _case_column(sheet)
    if column not in sheet.columns:
        close = get_close_matches(column, list(sheet.columns), n=1)
        advice = f"write :{close[0]}" if close else f"choose one of {', '.join(sheet.columns)}"
        raise CohortError(f"{path}: expected a column {column!r} with the barcodes, got none; {advice}")
    labels = [name for name in sheet.columns if name != column]
    there = [name for name in labels if name in clinical.columns]
    refuse(path, [f"line 1: expected no column {name!r}, which clinical.tsv has; rename it" for name in there])
    refuse(path, several_spellings({name: sheet[name].tolist() for name in labels}))
    lines = _lines(path, sheet, column, clinical["case_id"].tolist(), labels)
    rows = sheet.loc[list(lines.values()), labels].set_axis(list(lines), axis="index")
    joined = clinical.join(rows.reindex(clinical["case_id"]).fillna("").reset_index(drop=True))
    notes = [f"Labels: {len(lines)} of {len(clinical)} patients are in {path.name}."]
    return joined, notes


def _case_column(sheet: pd.DataFrame) -> str:
    small = {str(name).lower(): str(name) for name in reversed(sheet.columns)}
    return next((small[name] for name in CASE_COLUMNS if name in small), str(sheet.columns[0]))


def _lines(path: Path, sheet: pd.DataFrame, column: str, cases: Sequence[str], labels: Sequence[str]) -> dict[str, int]:
    """case_id -> the line of the table that stands for the patient."""
    of_name: dict[str, list[int]] = {}
    for line, name in sheet[column].items():
        of_name.setdefault(str(name), []).append(int(str(line)))
    of_line = {int(line): row for line, row in zip(sheet.index, sheet[list(labels)].to_numpy().tolist(), strict=True)}
    faults = [
        f"line {line}: expected one line for {column}, got other labels on line {lines[0]}; remove one"
        for name, lines in of_name.items()
        for line in lines[1:]
        if name and of_line[line] != of_line[lines[0]]
    ]
    refuse(path, faults)
    found = {case: of_name[samples[0].name][0] for case, samples in assign(of_name, cases).tumour.items()}
    if not found:
        others = other_programmes([name for name in of_name if name])
        got = (
            f"{others}, none of TCGA"
            if others and not any(name.startswith("TCGA-") for name in of_name)
            else "none of this cohort"
        )
        raise CohortError(
            f"{path}: expected barcodes of the {len(cases)} patients in column {column!r}, got {got}; "
            "name the column with FILE:case_column, or use the table of these projects"
        )
    return found
