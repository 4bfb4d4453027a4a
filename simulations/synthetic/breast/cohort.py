"""The breast cohort: slides, expression and clinical data of intrinsic subtypes."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from simulations.synthetic.breast.expression import draw_breast_expression
from simulations.synthetic.breast.hospitals import BREAST_HOSPITALS, BreastHospital
from simulations.synthetic.breast.patients import BreastPatient, draw_breast_patients
from simulations.synthetic.expression import draw_batch
from simulations.synthetic.kinds import Kind
from simulations.synthetic.looks import draw_look
from simulations.synthetic.slide_job import AnnotatedSlideJob
from simulations.synthetic.streams import Purpose, stream
from simulations.synthetic.tables import expression_rows, write_packed, write_rows

__all__ = ["BREAST"]

SLIDE_SIZE = 768  # px


def _begin(folder: Path, hospitals: Sequence[BreastHospital], seed: int) -> list[AnnotatedSlideJob]:
    (folder / "slides").mkdir(exist_ok=True)
    patients = [patient for hospital in hospitals for patient in draw_breast_patients(hospital, seed)]
    write_rows(folder / "clinical.tsv", "\t", _clinical(patients))
    write_rows(folder / "slides.tsv", "\t", _slides(patients))
    measured = [patient for patient in patients if patient.has_expression]
    batches = {hospital.code: draw_batch(hospital.code, seed) for hospital in hospitals}
    columns = [draw_breast_expression(patient, batches[patient.hospital], seed) for patient in measured]
    write_packed(folder / "expression.tsv.gz", expression_rows([p.case_id for p in measured], columns))
    looks = {hospital.code: draw_look(stream(seed, Purpose.LOOK, hospital.code)) for hospital in hospitals}
    return [
        AnnotatedSlideJob(folder / "slides" / f"{_slide_id(p)}.svs", p, looks[p.hospital], seed, SLIDE_SIZE)
        for p in patients
        if p.has_slide
    ]


def _slide_id(patient: BreastPatient) -> str:
    return f"{patient.case_id}-01Z-00-DX1"


def _clinical(patients: Sequence[BreastPatient]) -> Iterable[Sequence[object]]:
    yield "case_id", "age_at_diagnosis", "sex", "os_months", "os_event", "pam50"
    for p in patients:
        yield p.case_id, p.age, p.sex, p.os_months, p.os_event, p.pam50


def _slides(patients: Sequence[BreastPatient]) -> Iterable[Sequence[object]]:
    yield "case_id", "slide_id"
    for patient in patients:
        if patient.has_slide:
            yield patient.case_id, _slide_id(patient)


BREAST = Kind(
    name="breast",
    cohort="breast",
    version=1,
    modalities=("slides", "expression", "clinical"),
    hospitals=BREAST_HOSPITALS,
    begin=_begin,
)
"""Twelve hospitals; two of the eight that train lack slides or expression."""
