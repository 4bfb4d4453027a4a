"""The hospitals of the bone-tumour cohort: how many patients, which classes, which files, what is missing."""

from dataclasses import dataclass
from typing import Literal

from simulations.synthetic.hospitals import require_hospital

__all__ = ["BONE_HOSPITALS", "TUMOURS", "BoneHospital", "ImageFormat"]

TUMOURS = ("benign", "intermediate", "malignant")
ImageFormat = Literal["png", "monochrome1", "monochrome2"]


@dataclass(frozen=True)
class BoneHospital:
    """One hospital.

    `class_mix` are the shares of benign, intermediate and malignant; `slides`, `blood` and `imaging` say whether the
    hospital has the modality at all; `images` is how it exports radiographs (PNG, or DICOM of 16 bit in which large
    values are dark or bright); `boxes` whether it marks lesions; `missing_share` is the chance that one of its
    patients lacks a given modality nevertheless.
    """

    code: str
    patients: int
    class_mix: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    slides: bool = True
    blood: bool = True
    imaging: bool = True
    images: ImageFormat = "png"
    boxes: bool = True
    missing_share: float = 0.04

    def __post_init__(self) -> None:
        require_hospital(self.code, self.patients, self.class_mix)


CLIENTS = (
    BoneHospital("BA", 44, (0.50, 0.25, 0.25)),
    BoneHospital("BB", 42, (0.15, 0.25, 0.60), images="monochrome2"),
    BoneHospital("BC", 40, (0.30, 0.45, 0.25)),
    BoneHospital("BD", 36, (0.10, 0.20, 0.70), blood=False, images="monochrome1"),
    BoneHospital("BE", 36, (0.65, 0.25, 0.10), slides=False),
    BoneHospital("BF", 32, (0.25, 0.55, 0.20), imaging=False),
    BoneHospital("BG", 30, (0.60, 0.30, 0.10), images="monochrome2", boxes=False),
    BoneHospital("06", 28, (0.20, 0.30, 0.50)),  # a code with a leading zero
)
UNSEEN = (
    BoneHospital("BU", 15, (0.34, 0.33, 0.33)),
    BoneHospital("BV", 13, (0.40, 0.30, 0.30), images="monochrome1"),
    BoneHospital("BW", 12, (0.25, 0.33, 0.42), boxes=False),
)
BONE_HOSPITALS = (*CLIENTS, *UNSEEN)
"""Eight hospitals of 28 to 44 patients, which train, and three of 12 to 15, which are never trained on."""
