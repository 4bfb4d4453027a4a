"""Synthetic cohorts of glioma, bone tumours, breast cancer and bare features, in the formats that hospitals have."""

from simulations.synthetic.bone.cohort import BONE
from simulations.synthetic.breast.cohort import BREAST
from simulations.synthetic.cohort import MARKER, cohort_digest, cohort_folder, read_marker, write_cohort
from simulations.synthetic.features.cohort import FEATURES
from simulations.synthetic.features.hospitals import PATIENTS_PER_SITE, FeatureHospital, feature_hospitals
from simulations.synthetic.glioma import GLIOMA
from simulations.synthetic.hospitals import DEFAULT_HOSPITALS, Hospital
from simulations.synthetic.kinds import Kind

__all__ = [
    "BONE",
    "BREAST",
    "DEFAULT_HOSPITALS",
    "FEATURES",
    "GLIOMA",
    "KINDS",
    "MARKER",
    "PATIENTS_PER_SITE",
    "FeatureHospital",
    "Hospital",
    "Kind",
    "cohort_digest",
    "cohort_folder",
    "feature_hospitals",
    "read_marker",
    "write_cohort",
]

KINDS = (GLIOMA, BONE, BREAST, FEATURES)
"""Every kind of cohort."""
