"""The hospitals of the cohort of features: equally many patients, differently many relapses."""

from dataclasses import dataclass

from simulations.synthetic.hospitals import require_hospital

__all__ = ["FEATURE_HOSPITALS", "PATIENTS_PER_SITE", "FeatureHospital", "feature_hospitals"]

PATIENTS_PER_SITE = 200


@dataclass(frozen=True)
class FeatureHospital:
    """One hospital.

    `relapses` is the share of patients with a relapse; `missing_share` the chance that a patient lacks slides or
    expression.
    """

    code: str
    patients: int = PATIENTS_PER_SITE
    relapses: float = 0.5
    missing_share: float = 0.03

    def __post_init__(self) -> None:
        require_hospital(self.code, self.patients, (1 - self.relapses, self.relapses, 0.0))


SHARES = {"FA": 0.50, "FB": 0.15, "FC": 0.60, "FD": 0.35, "FE": 0.10, "FF": 0.75, "FG": 0.25, "04": 0.85}


def feature_hospitals(patients_per_site: int) -> tuple[FeatureHospital, ...]:
    """The eight hospitals with so many patients each; ValueError for a size that is none."""
    return tuple(FeatureHospital(code, patients_per_site, share) for code, share in SHARES.items())


FEATURE_HOSPITALS = feature_hospitals(PATIENTS_PER_SITE)
"""Eight hospitals of 200 patients."""
