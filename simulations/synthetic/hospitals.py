"""The hospitals of the synthetic cohort: how many patients, which classes, what is missing."""

from dataclasses import dataclass

__all__ = ["DEFAULT_HOSPITALS", "GRADES", "Hospital", "require_hospital"]

GRADES = ("G2", "G3", "G4")


@dataclass(frozen=True)
class Hospital:
    """One hospital.

    `code` is the two-character tissue source site of its barcodes; `grade_mix` the shares of G2, G3 and G4;
    `slides` and `blood` say whether the hospital has the modality at all; `missing_share` is the chance that one of
    its patients lacks a given modality nevertheless.
    """

    code: str
    patients: int
    grade_mix: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    slides: bool = True
    blood: bool = True
    missing_share: float = 0.04

    def __post_init__(self) -> None:
        require_hospital(self.code, self.patients, self.grade_mix)


def require_hospital(code: str, patients: int, mix: tuple[float, float, float]) -> None:
    """ValueError unless the code is two letters or digits, the size 1 to 9999 and the mix shares that sum to 1."""
    if len(code) != 2 or not (code.isascii() and code.isalnum()):
        raise ValueError(f"hospital code: expected two letters or digits, got {code!r}; write e.g. 'SA'")
    if not 1 <= patients <= 9999:
        raise ValueError(f"hospital {code}: expected 1 to 9999 patients, got {patients}; change the size")
    if min(mix) < 0 or abs(sum(mix) - 1) > 1e-6:
        raise ValueError(f"hospital {code}: expected three shares that sum to 1, got {mix}; rescale them")


CLIENTS = (
    Hospital("SA", 60, (0.50, 0.35, 0.15)),
    Hospital("SB", 54, (0.10, 0.25, 0.65)),
    Hospital("SC", 48, (0.25, 0.45, 0.30)),
    Hospital("SD", 44, (0.06, 0.14, 0.80), blood=False),
    Hospital("SE", 40, (0.65, 0.25, 0.10), slides=False),
    Hospital("SF", 36, (0.15, 0.70, 0.15)),
    Hospital("SG", 30, (0.70, 0.24, 0.06)),
    Hospital("08", 24, (0.12, 0.20, 0.68)),  # a code with a leading zero, as TCGA has them
)
UNSEEN = (
    Hospital("UA", 15, (0.34, 0.33, 0.33)),
    Hospital("UB", 14, (0.30, 0.40, 0.30)),
    Hospital("UC", 12, (0.42, 0.33, 0.25)),
    Hospital("UD", 11, (0.27, 0.28, 0.45)),
)
DEFAULT_HOSPITALS = (*CLIENTS, *UNSEEN)
"""Eight hospitals of 24 to 60 patients, which train, and four of 11 to 15, which are never trained on."""
