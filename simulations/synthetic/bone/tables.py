"""The bone cohort's tables as a hospital would export them: clinical, blood, lists of slides and of radiographs."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from simulations.synthetic.bone.hospitals import BoneHospital
from simulations.synthetic.bone.patients import BonePatient
from simulations.synthetic.bone.scene import Scene, draw_scene
from simulations.synthetic.streams import Purpose, stream
from simulations.synthetic.tables import blood_rows, write_rows

__all__ = ["BONE_SHIFTS", "VIEWS", "image_id", "image_seeds", "scene_of", "slide_id", "write_tables"]

VIEWS = ("AP", "LAT")
BONE_SHIFTS: Mapping[str, float] = {
    "ALP": 1.9,
    "LDH": 1.7,
    "Ca": 0.7,
    "CRP": 1.4,
    "ESR": 1.3,
    "HGB": -0.9,
    "ALB": -0.9,
    "PLT": 0.4,
    "D-dimer": 1.0,
    "Fibrinogen": 0.9,
}
"""How the tumour moves results: SD of the healthy distribution for one SD of `host`; others stay as they are."""


def slide_id(patient: BonePatient) -> str:
    """The name of the patient's slide; its file is slides/<slide_id>.svs."""
    return f"{patient.case_id}-S1"


def image_id(patient: BonePatient, view: int) -> str:
    """The name of a radiograph; its file is imaging/<image_id> and the hospital's suffix."""
    return f"{patient.case_id}-{VIEWS[view]}"


def image_seeds(patient: BonePatient, view: int, seed: int) -> tuple[np.random.SeedSequence, np.random.SeedSequence]:
    """Seeds of what stands in a radiograph, and of its textures and noise."""
    seeds = stream(seed, Purpose.RADIOGRAPH, patient.hospital, patient.index).spawn(2 * len(VIEWS))
    return seeds[2 * view], seeds[2 * view + 1]


def scene_of(patient: BonePatient, view: int, seed: int) -> Scene:
    """What stands in one of a patient's radiographs."""
    return draw_scene(np.random.default_rng(image_seeds(patient, view, seed)[0]))


def write_tables(
    folder: Path, hospitals: Mapping[str, BoneHospital], patients: Sequence[BonePatient], seed: int
) -> None:
    """Write every table of the cohort; equal arguments give equal bytes."""
    write_rows(folder / "clinical.tsv", "\t", _clinical(patients))
    measured = [patient for patient in patients if patient.has_blood]
    write_rows(folder / "blood.csv", ",", blood_rows(measured, seed, BONE_SHIFTS))
    write_rows(folder / "slides.tsv", "\t", _slides(patients))
    write_rows(folder / "imaging.csv", ",", _images(hospitals, patients, seed))


def _clinical(patients: Sequence[BonePatient]) -> Iterable[Sequence[object]]:
    yield "case_id", "site", "age_at_diagnosis", "sex", "bone", "tumour"
    for p in patients:
        yield p.case_id, p.hospital, p.age, p.sex, p.bone, p.tumour


def _slides(patients: Sequence[BonePatient]) -> Iterable[Sequence[object]]:
    yield "case_id", "slide_id"
    for patient in patients:
        if patient.has_slide:
            yield patient.case_id, slide_id(patient)


def _images(
    hospitals: Mapping[str, BoneHospital], patients: Sequence[BonePatient], seed: int
) -> Iterable[Sequence[object]]:
    yield "case_id", "image_id", "modality", "label", "x0", "y0", "x1", "y1"
    for patient in patients:
        for view in range(patient.views):
            marked = hospitals[patient.hospital].boxes
            mark = ("lesion", *scene_of(patient, view, seed).box) if marked else ("", "", "", "", "")
            yield patient.case_id, image_id(patient, view), "DX", *mark
