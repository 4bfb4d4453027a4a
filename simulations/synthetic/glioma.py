"""The glioma cohort: slides, expression, blood and clinical data of three grades."""

from collections.abc import Sequence
from pathlib import Path

from simulations.synthetic.biology import draw_patients
from simulations.synthetic.hospitals import DEFAULT_HOSPITALS, Hospital
from simulations.synthetic.kinds import Kind
from simulations.synthetic.looks import draw_look
from simulations.synthetic.slide_job import AnnotatedSlideJob
from simulations.synthetic.streams import Purpose, stream
from simulations.synthetic.tables import slide_id, write_tables

__all__ = ["GLIOMA"]


def _begin(folder: Path, hospitals: Sequence[Hospital], seed: int) -> list[AnnotatedSlideJob]:
    (folder / "slides").mkdir(exist_ok=True)
    patients = [patient for hospital in hospitals for patient in draw_patients(hospital, seed)]
    write_tables(folder, patients, seed)
    looks = {hospital.code: draw_look(stream(seed, Purpose.LOOK, hospital.code)) for hospital in hospitals}
    return [
        AnnotatedSlideJob(folder / "slides" / f"{slide_id(patient)}.svs", patient, looks[patient.hospital], seed)
        for patient in patients
        if patient.has_slide
    ]


GLIOMA = Kind(
    name="glioma",
    cohort="synthetic",
    version=1,
    modalities=("slides", "expression", "blood", "clinical"),
    hospitals=DEFAULT_HOSPITALS,
    begin=_begin,
)
"""Eight hospitals of 24 to 60 patients, which train, and four of 11 to 15, which are never trained on."""
