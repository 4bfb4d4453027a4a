"""Synthetic cohorts, glioma, bone tumours and breast cancer, written in the formats that a hospital would have."""

from simulations.synthetic.bone.cohort import BONE
from simulations.synthetic.breast.cohort import BREAST
from simulations.synthetic.cohort import MARKER, cohort_digest, cohort_folder, read_marker, write_cohort
from simulations.synthetic.glioma import GLIOMA
from simulations.synthetic.hospitals import DEFAULT_HOSPITALS, Hospital
from simulations.synthetic.kinds import Kind

__all__ = [
    "BONE",
    "BREAST",
    "DEFAULT_HOSPITALS",
    "GLIOMA",
    "KINDS",
    "MARKER",
    "Hospital",
    "Kind",
    "cohort_digest",
    "cohort_folder",
    "read_marker",
    "write_cohort",
]

KINDS = (GLIOMA, BONE, BREAST)
"""Every kind of cohort."""
