"""The glioma cohort: slides, expression, blood and clinical data of three grades."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simulations.synthetic.annotation import write_lesion
from simulations.synthetic.aperio import write_aperio
from simulations.synthetic.biology import Patient, draw_patients
from simulations.synthetic.hospitals import DEFAULT_HOSPITALS, Hospital
from simulations.synthetic.kinds import Kind
from simulations.synthetic.looks import Look, draw_look
from simulations.synthetic.slides import render_slide
from simulations.synthetic.streams import Purpose, stream
from simulations.synthetic.tables import slide_id, write_tables

__all__ = ["GLIOMA"]

MPP = 0.5
POWER = 20


@dataclass(frozen=True)
class SlideJob:
    """Everything one worker needs to write one slide and its lesion."""

    path: Path
    patient: Patient
    look: Look
    seed: int

    def write(self, path: Path) -> None:
        """Draw the slide; the annotation is written first, so that an existing slide says both are done."""
        seeds = stream(self.seed, Purpose.SLIDE, self.patient.hospital, self.patient.index)
        slide = render_slide(self.patient.morphology, self.look, seeds)
        write_lesion(self.path.with_suffix(".geojson"), slide.lesion)
        write_aperio(path, slide.pixels, mpp=MPP, power=POWER, jpeg_quality=self.look.jpeg_quality)


def _begin(folder: Path, hospitals: Sequence[Hospital], seed: int) -> list[SlideJob]:
    (folder / "slides").mkdir(exist_ok=True)
    patients = [patient for hospital in hospitals for patient in draw_patients(hospital, seed)]
    write_tables(folder, patients, seed)
    looks = {hospital.code: draw_look(stream(seed, Purpose.LOOK, hospital.code)) for hospital in hospitals}
    return [
        SlideJob(folder / "slides" / f"{slide_id(patient)}.svs", patient, looks[patient.hospital], seed)
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
