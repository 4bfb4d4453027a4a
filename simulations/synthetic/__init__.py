"""Synthetic cohorts, glioma and bone tumours, written in the formats that a hospital would have."""

from simulations.synthetic.bone.cohort import BONE
from simulations.synthetic.cohort import MARKER, cohort_digest, cohort_folder, read_marker, write_cohort
from simulations.synthetic.glioma import GLIOMA
from simulations.synthetic.hospitals import DEFAULT_HOSPITALS, Hospital
from simulations.synthetic.kinds import Kind

__all__ = [
    "BONE",
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

KINDS = (GLIOMA, BONE)
"""Every kind of cohort."""
