"""The cohort of a curve: as it is named, or hospitals of features of the size that was asked for."""

from simulations.ready import Progress
from simulations.synthetic import FEATURES, cohort_folder, feature_hospitals, write_cohort
from simulations.utility.options import Options

__all__ = ["cohort_at"]


def cohort_at(options: Options, seed: int, progress: Progress) -> str:
    """What `make_ready` takes as the cohort; generated hospitals of another size are drawn first."""
    if options.patients_per_site is None:
        return options.cohort
    hospitals = feature_hospitals(options.patients_per_site)
    folder = cohort_folder(options.cache, FEATURES, seed, hospitals)
    write_cohort(
        folder,
        kind=FEATURES,
        seed=seed,
        hospitals=hospitals,
        progress=lambda done, total: progress("drawing the cohort", done, total),
    )
    return str(folder)
