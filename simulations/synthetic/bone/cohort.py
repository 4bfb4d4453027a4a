"""The kind of cohort that `--kind bone` writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulations.synthetic.aperio import write_aperio
from simulations.synthetic.bone.exposure import Exposure, develop, draw_exposure
from simulations.synthetic.bone.hospitals import BONE_HOSPITALS, BoneHospital, ImageFormat
from simulations.synthetic.bone.image_files import image_suffix, write_image
from simulations.synthetic.bone.patients import BonePatient, draw_bone_patients
from simulations.synthetic.bone.radiograph import render_radiograph
from simulations.synthetic.bone.tables import image_id, image_seeds, scene_of, slide_id, write_tables
from simulations.synthetic.kinds import Job, Kind
from simulations.synthetic.looks import Look, draw_look
from simulations.synthetic.slides import render_slide
from simulations.synthetic.streams import Purpose, stream

__all__ = ["BONE", "ImageJob", "SlideJob"]

SLIDE_SIZE = 512  # px
MPP = 0.5
POWER = 20


@dataclass(frozen=True)
class SlideJob:
    """Everything one worker needs to write one slide."""

    path: Path
    patient: BonePatient
    look: Look
    seed: int

    def write(self, path: Path) -> None:
        """Draw the slide."""
        seeds = stream(self.seed, Purpose.SLIDE, self.patient.hospital, self.patient.index)
        slide = render_slide(self.patient.morphology, self.look, seeds, SLIDE_SIZE)
        write_aperio(path, slide.pixels, mpp=MPP, power=POWER, jpeg_quality=self.look.jpeg_quality)


@dataclass(frozen=True)
class ImageJob:
    """Everything one worker needs to write one radiograph."""

    path: Path
    patient: BonePatient
    view: int
    exposure: Exposure
    image_format: ImageFormat
    seed: int

    def write(self, path: Path) -> None:
        """Draw the radiograph."""
        patient, view = self.patient, self.view
        rng = np.random.default_rng(image_seeds(patient, view, self.seed)[1])
        absorption = render_radiograph(scene_of(patient, view, self.seed), patient.aggression, rng)
        brightness = develop(absorption, self.exposure, rng)
        write_image(path, brightness, self.image_format, case_id=patient.case_id, image_id=image_id(patient, view))


def _begin(folder: Path, hospitals: Sequence[BoneHospital], seed: int) -> list[Job]:
    for name in ("slides", "imaging"):
        (folder / name).mkdir(exist_ok=True)
    patients = [patient for hospital in hospitals for patient in draw_bone_patients(hospital, seed)]
    by_code = {hospital.code: hospital for hospital in hospitals}
    write_tables(folder, by_code, patients, seed)
    looks = {code: draw_look(stream(seed, Purpose.LOOK, code)) for code in by_code}
    exposures = {code: draw_exposure(stream(seed, Purpose.EXPOSURE, code)) for code in by_code}
    jobs: list[Job] = []
    for patient in patients:
        code, images = patient.hospital, by_code[patient.hospital].images
        if patient.has_slide:
            jobs.append(SlideJob(folder / "slides" / f"{slide_id(patient)}.svs", patient, looks[code], seed))
        for view in range(patient.views):
            path = folder / "imaging" / f"{image_id(patient, view)}{image_suffix(images)}"
            jobs.append(ImageJob(path, patient, view, exposures[code], images, seed))
    return jobs


BONE = Kind(
    name="bone",
    cohort="bone",
    version=1,
    modalities=("slides", "blood", "imaging", "clinical"),
    hospitals=BONE_HOSPITALS,
    begin=_begin,
)
"""Eleven hospitals; three of the eight that train lack slides, blood or radiographs."""
