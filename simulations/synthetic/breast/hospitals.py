"""The hospitals of the breast cohort: how many patients, how many of them Basal or Her2, what is missing."""

from dataclasses import dataclass

from simulations.synthetic.hospitals import require_hospital

__all__ = ["BREAST_HOSPITALS", "SUBTYPES", "BreastHospital"]

SUBTYPES = ("LumA", "LumB", "Her2", "Basal", "Normal")
NORMAL = 0.04  # share of Normal-like patients, whom S1 leaves out


@dataclass(frozen=True)
class BreastHospital:
    """One hospital.

    `code` is the two-character tissue source site of its barcodes; `aggressive` the share of Basal and Her2 (a
    quarter over all hospitals, .17 to .45 by hospital, as in TCGA-BRCA: SEEDS.md 2.3); `slides` and `expression` say
    whether the hospital has the modality at all; `missing_share` is the chance that one of its patients lacks a given
    modality nevertheless.
    """

    code: str
    patients: int
    aggressive: float = 0.26
    slides: bool = True
    expression: bool = True
    missing_share: float = 0.04

    def __post_init__(self) -> None:
        require_hospital(self.code, self.patients, (self.aggressive, NORMAL, 1 - NORMAL - self.aggressive))

    @property
    def mix(self) -> tuple[float, ...]:
        """The share of each of SUBTYPES."""
        luminal = 1 - NORMAL - self.aggressive
        return (0.68 * luminal, 0.32 * luminal, 0.33 * self.aggressive, 0.67 * self.aggressive, NORMAL)


CLIENTS = (
    BreastHospital("RA", 50, 0.17),
    BreastHospital("RB", 48, 0.45),
    BreastHospital("RC", 46, 0.24),
    BreastHospital("RD", 42, 0.30, expression=False),
    BreastHospital("RE", 40, 0.18),
    BreastHospital("RF", 36, 0.22, slides=False),
    BreastHospital("RG", 32, 0.34),
    BreastHospital("05", 28, 0.20),  # a code with a leading zero, as TCGA has them
)
UNSEEN = (
    BreastHospital("VA", 18, 0.28),
    BreastHospital("VB", 16, 0.22),
    BreastHospital("VC", 15, 0.34),
    BreastHospital("VD", 12, 0.25),
)
BREAST_HOSPITALS = (*CLIENTS, *UNSEEN)
"""Eight hospitals of 28 to 50 patients, which train, and four of 12 to 18, which are never trained on."""
