"""The cohort's tables as a hospital would export them: clinical, expression, blood, and the list of slides."""

import csv
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulations.synthetic.biology import Patient
from simulations.synthetic.blood import GLIOMA_SHIFTS, BloodDonor, draw_blood, draw_laboratory
from simulations.synthetic.expression import draw_batch, draw_expression, panel_genes

__all__ = ["blood_rows", "expression_rows", "slide_id", "write_packed", "write_rows", "write_tables"]


def slide_id(patient: Patient) -> str:
    """The name of the patient's diagnostic slide; its file is slides/<slide_id>.svs."""
    return f"{patient.case_id}-01Z-00-DX1"


def write_tables(folder: Path, patients: Sequence[Patient], seed: int) -> None:
    """Write every table of the cohort; equal arguments give equal bytes."""
    write_rows(folder / "clinical.tsv", "\t", _clinical(patients))
    write_rows(folder / "blood.csv", ",", blood_rows([p for p in patients if p.has_blood], seed))
    write_rows(folder / "slides.tsv", "\t", _slides(patients))
    write_packed(folder / "expression.tsv.gz", _expression(patients, seed))


def write_rows(path: Path, delimiter: str, rows: Iterable[Sequence[object]]) -> None:
    """Write one delimited table, header first."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)


def write_packed(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write one tab-separated table with gzip, header first; equal rows give equal bytes."""
    table = io.StringIO()
    csv.writer(table, delimiter="\t", lineterminator="\n").writerows(rows)
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed,  # no name, no time: same bytes
    ):
        packed.write(table.getvalue().encode("utf-8"))


def expression_rows(cases: Sequence[str], columns: Sequence[NDArray[np.float64]]) -> Iterable[Sequence[object]]:
    """The lines of expression.tsv, header first: one column (genes,) a patient."""
    values = np.array(columns).reshape(len(cases), len(panel_genes())).T  # (genes, patients)
    yield "gene_symbol", *cases
    for gene, row in zip(panel_genes(), values, strict=True):
        yield gene, *(f"{value:.4f}" for value in row)


def _clinical(patients: Sequence[Patient]) -> Iterable[Sequence[object]]:
    yield "case_id", "age_at_diagnosis", "sex", "os_months", "os_event", "grade", "idh_codel_subtype"
    for p in patients:
        yield p.case_id, p.age, p.sex, p.os_months, p.os_event, p.grade, p.subtype


def _slides(patients: Sequence[Patient]) -> Iterable[Sequence[object]]:
    yield "case_id", "slide_id"
    for patient in patients:
        if patient.has_slide:
            yield patient.case_id, slide_id(patient)


def _expression(patients: Sequence[Patient], seed: int) -> Iterable[Sequence[object]]:
    measured = [patient for patient in patients if patient.has_expression]
    batches = {hospital: draw_batch(hospital, seed) for hospital in {patient.hospital for patient in measured}}
    columns = [draw_expression(patient, batches[patient.hospital], seed) for patient in measured]
    return expression_rows([patient.case_id for patient in measured], columns)


def blood_rows(
    patients: Sequence[BloodDonor], seed: int, shifts: Mapping[str, float] = GLIOMA_SHIFTS
) -> Iterable[Sequence[object]]:
    """The lines of blood.csv, header first; every patient is measured by the own hospital's laboratory."""
    yield "case_id", "analyte", "value", "unit", "ref_low", "ref_high", "collected", "laboratory"
    laboratories = {patient.hospital: draw_laboratory(patient.hospital, seed) for patient in patients}
    for patient in patients:
        laboratory = laboratories[patient.hospital]
        for r in draw_blood(patient, laboratory, seed, shifts):
            yield patient.case_id, r.analyte, r.value, r.unit, r.ref_low, r.ref_high, r.collected, laboratory.name
