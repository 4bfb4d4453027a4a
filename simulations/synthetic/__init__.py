"""A synthetic glioma cohort, written in the formats that a hospital would have."""

from simulations.synthetic.cohort import MARKER, cohort_digest, read_marker, write_cohort
from simulations.synthetic.hospitals import DEFAULT_HOSPITALS, Hospital

__all__ = ["DEFAULT_HOSPITALS", "MARKER", "Hospital", "cohort_digest", "read_marker", "write_cohort"]
