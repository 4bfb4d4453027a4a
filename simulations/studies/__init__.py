"""Study files that mmfed ships: `--study NAME` finds them here."""

from pathlib import Path

__all__ = ["DEFAULT", "cohort_of", "least_of", "study_of"]

DEFAULT = "default"

COHORTS = {
    "bone": "bone",
    "features_linear": "features",
    "features_relapse": "features",
    "features_survival": "features",
    "lung": "lung",
    "private_features_linear": "features",
    "private_features_relapse": "features",
    "private_features_survival": "features",
    "s1_breast": "breast",
    "s2_bone": "bone",
    "s2_detector": "bone",
}


def cohort_of(study: str) -> str:
    """The cohort on which a packaged study runs when no other is named; synthetic glioma for every other study."""
    return COHORTS.get(Path(study).stem, "synthetic")


def study_of(cohort: str) -> str:
    """The packaged study that runs on a cohort when no study is named."""
    return "lung" if cohort == "lung" else DEFAULT


def least_of(cohort: str) -> int:
    """Patients of the smallest hospital that trains, unless another number is named: public data may be few."""
    return 1 if cohort == "lung" else 20
