"""Who the patients are: the class first, then what each modality can see of it.

The class moves three latents: `look` (seen only on radiographs), `morphology.level` (only on the slide) and `host`
(only in blood). Given the class they are independent, so two modalities know more than one, yet each knows enough for
the others to be partly redundant.
"""

from dataclasses import dataclass

import numpy as np

from simulations.synthetic.bone.hospitals import TUMOURS, BoneHospital
from simulations.synthetic.nuclei import Morphology
from simulations.synthetic.streams import Purpose, stream

__all__ = ["BonePatient", "draw_bone_patients"]

BONES = ("femur", "tibia", "humerus")

# Mean of each latent by class, in SD of the patients of one class. Radiographs tell benign from the rest, slides tell
# malignant from the rest, blood rises evenly.
LOOK_OF_CLASS = (-1.45, 0.30, 1.10)
MORPHOLOGY_OF_CLASS = (-0.95, -0.35, 1.30)
HOST_OF_CLASS = (-1.4, 0.0, 1.4)


@dataclass(frozen=True)
class BonePatient:
    """One patient: class, latents, and which modalities were collected."""

    case_id: str
    hospital: str
    index: int
    age: float  # years
    sex: str  # male | female
    bone: str
    tumour: str
    aggression: float  # 0 = sclerotic rim, 1 = ill-defined with periosteal reaction
    morphology: Morphology
    host: float  # SD; higher = more systemic disease
    views: int  # radiographs: 0, 1 (frontal) or 2 (and lateral)
    has_slide: bool
    has_blood: bool


def draw_bone_patients(hospital: BoneHospital, seed: int) -> tuple[BonePatient, ...]:
    """All patients of a hospital; class counts follow its mix exactly, their order is random."""
    quota = np.array(hospital.class_mix) * hospital.patients
    counts = np.floor(quota).astype(int)
    counts[np.argsort(counts - quota, kind="stable")[: hospital.patients - counts.sum()]] += 1
    rng = np.random.default_rng(stream(seed, Purpose.CLASSES, hospital.code))
    classes = rng.permutation(np.repeat(np.arange(len(TUMOURS)), counts))
    return tuple(_patient(hospital, seed, index, int(tumour)) for index, tumour in enumerate(classes, start=1))


def _patient(hospital: BoneHospital, seed: int, index: int, tumour: int) -> BonePatient:
    rng = np.random.default_rng(stream(seed, Purpose.BIOLOGY, hospital.code, index))
    look, morphology, host = rng.normal(0, 1, 3)
    views, slide, blood = _presence(hospital, stream(seed, Purpose.PRESENCE, hospital.code, index))
    return BonePatient(
        case_id=f"BONE-{hospital.code}-{index:04d}",
        hospital=hospital.code,
        index=index,
        age=round(float(np.clip(rng.normal(29 + 2 * tumour, 14), 8, 85)), 1),
        sex="male" if rng.random() < 0.55 else "female",
        bone=BONES[int(rng.integers(len(BONES)))],
        tumour=TUMOURS[tumour],
        aggression=_unit(LOOK_OF_CLASS[tumour] + look),
        # lacunae of chondrocytes, which say nothing about the class
        morphology=Morphology(level=_unit(MORPHOLOGY_OF_CLASS[tumour] + morphology), oligo=float(rng.uniform(0, 0.3))),
        host=float(HOST_OF_CLASS[tumour] + host),
        views=views,
        has_slide=slide,
        has_blood=blood,
    )


def _unit(latent: float) -> float:
    """Map a latent (SD about 1.4 over a cohort) onto 0 to 1."""
    return float(1 / (1 + np.exp(-1.25 * latent)))


def _presence(hospital: BoneHospital, seeds: np.random.SeedSequence) -> tuple[int, bool, bool]:
    """How many radiographs a patient has, and whether a slide and blood: never nothing at all."""
    rng = np.random.default_rng(seeds)
    offered = np.array([hospital.imaging, hospital.slides, hospital.blood])
    if not offered.any():
        return 0, False, False
    present = offered & (rng.random(3) >= hospital.missing_share)
    if not present.any():
        present[int(np.argmax(offered))] = True
    views = (1 + int(rng.random() < 0.5)) if present[0] else 0
    return views, bool(present[1]), bool(present[2])
