"""Study files that mmfed ships: `--study NAME` finds them here."""

from pathlib import Path

__all__ = ["cohort_of"]

COHORTS = {
    "bone": "bone",
    "features_linear": "features",
    "features_relapse": "features",
    "features_survival": "features",
    "private_features_linear": "features",
    "private_features_relapse": "features",
    "private_features_survival": "features",
    "s1_breast": "breast",
    "s2_bone": "bone",
    "s2_detector": "bone",
}


def cohort_of(study: str) -> str:
    """The synthetic cohort on which a packaged study runs when no other is named; glioma for every other study."""
    return COHORTS.get(Path(study).stem, "synthetic")
