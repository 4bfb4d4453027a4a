"""Who is in a run, and who of them is tested, in a line each for the terminal."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from simulations.fold import Fold

__all__ = ["cohort_line", "protocol_line"]


def cohort_line(cohort: str, sizes: Mapping[str, int], split: str) -> str:
    """The cohort by name, its usable patients and hospitals, and what tells the hospitals apart."""
    return f"Cohort: {cohort}, {_counted(sizes)} (--split {split})"


def protocol_line(folds: Sequence[Fold], sizes: Mapping[str, int], least: int) -> str:
    """How many patients the folds test, and what becomes of hospitals that are too small to train.

    Parameters
    ----------
    folds
        Those of one repeat.
    sizes
        Hospital -> usable patients, of every hospital.
    least
        Hospitals with fewer never train.
    """
    masks: dict[str, NDArray[np.bool_]] = {}
    for fold in folds:
        for site, data in fold.sites.items():
            mask = data.test if site in fold.training else np.ones(len(data.patients), dtype=bool)
            masks[site] = masks.get(site, np.zeros(len(mask), dtype=bool)) | mask
    tested = {site: int(mask.sum()) for site, mask in masks.items() if mask.any()}
    small = {site: n for site, n in sizes.items() if not any(site in fold.training for fold in folds)}
    line = f"Tested by {folds[0].study.split.protocol}: {_counted(tested)}"
    if not small:
        return f"{line}; no hospital is too small to train (--min-site-patients {least})"
    fate = "are among them, as unseen" if small.keys() & tested.keys() else "are not tested"
    return f"{line}; {_counted(small)} too small to train (--min-site-patients {least}) {fate}"


def _counted(sizes: Mapping[str, int]) -> str:
    return f"{sum(sizes.values())} patients of {len(sizes)} hospital{'' if len(sizes) == 1 else 's'}"
