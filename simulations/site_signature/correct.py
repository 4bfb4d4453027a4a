"""Corrections that take a hospital's signature out of features: none, scaling within the site, ComBat-like.

Each is fitted on patients of a site, with or without their labels, and applied to others of the same site without
any. A site that never trains is fitted on its own unlabelled features. Stain normalisation is no correction of this
kind: it changes the tiles before the encoder sees them (`modalities.slides.stain`), so runs are compared by it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CORRECTIONS", "Correction", "fit_correction"]

Floats = NDArray[np.float64]
Names = NDArray[np.str_]
LEAST_SD = 1e-3  # of the spread over all sites; a feature that hardly varies within a site is not blown up
STEPS = 100
TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Correction:
    """Takes the site's row of `shift` (S, d) from features, multiplies by that of `factor` (S, d), adds `centre`."""

    sites: tuple[str, ...]
    shift: Floats
    factor: Floats
    centre: Floats  # (d,)

    def __call__(self, features: Floats, site: Names) -> Floats:
        """The corrected features (P, d) of patients of `site` (P,).

        Raises
        ------
        ValueError
            A site that the correction was not fitted on.
        """
        strangers = sorted(set(site.tolist()) - set(self.sites))
        if strangers:
            raise ValueError(
                f"site: expected sites that the correction was fitted on, got {', '.join(strangers)}; "
                "fit it on their unlabelled features too"
            )
        place = np.searchsorted(np.array(self.sites), site)
        corrected: Floats = (features - self.shift[place]) * self.factor[place] + self.centre
        return corrected


def fit_correction(kind: str, features: Floats, site: Names, classes: NDArray[np.int64] | None = None) -> Correction:
    """Fit one of CORRECTIONS to the features (P, d) of patients of `site` (P,).

    Parameters
    ----------
    classes
        (P,) outcome classes, -1 = unknown; None = nobody's are known. ComBat keeps the differences between classes
        out of what it takes for the hospital's; the others use no label.
    """
    sites, place = np.unique(site, return_inverse=True)
    labels = np.full(len(features), -1) if classes is None else classes
    shift, factor, centre = CORRECTIONS[kind](np.asarray(features, np.float64), place, labels)
    return Correction(tuple(sites.tolist()), shift, factor, centre)


def _none(features: Floats, place: NDArray[np.intp], classes: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    shape = (int(place.max()) + 1, features.shape[1])
    return np.zeros(shape), np.ones(shape), np.zeros(shape[1])


def _site_scale(features: Floats, place: NDArray[np.intp], classes: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """The z-score within the site; a site of one patient, or a feature that is constant there, is only centred."""
    overall = features.std(axis=0)
    overall = np.where(overall > 0, overall, 1.0)
    means, sds = [], []
    for number in range(int(place.max()) + 1):
        part = features[place == number]
        sd = part.std(axis=0, ddof=1) if len(part) > 1 else np.zeros(part.shape[1])
        means.append(part.mean(axis=0))
        sds.append(np.where(sd > LEAST_SD * overall, sd, overall))
    return np.array(means), 1 / np.array(sds), np.zeros(features.shape[1])


def _combat(features: Floats, place: NDArray[np.intp], classes: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Location and scale of each site, shrunk over the features by empirical Bayes (Johnson, Li and Rabinovic 2007).

    Step 1 standardises by least squares with sites and classes, step 2 finds the parametric priors by moments, and
    step 3 solves their equation (3) in turns. Unlike theirs, what is found here is applied to patients whose class is
    not known, so the class difference is scaled like everything else.
    """
    of_site = np.eye(int(place.max()) + 1)[place]  # (P, S)
    of_class = _class_columns(classes)
    found = np.linalg.lstsq(np.hstack([of_site, of_class]), features, rcond=None)[0]
    sizes = of_site.sum(axis=0)
    centre = sizes @ found[: len(sizes)] / len(features)
    biology = of_class @ found[len(sizes) :]
    sd = (features - of_site @ found[: len(sizes)] - biology).std(axis=0)
    sd = np.where(sd > 0, sd, 1.0)
    standard = (features - centre - biology) / sd
    shift, factor = np.empty((len(sizes), features.shape[1])), np.empty((len(sizes), features.shape[1]))
    for number in range(len(sizes)):
        location, variance = _shrunk(standard[place == number])
        shift[number], factor[number] = centre + sd * location, 1 / np.sqrt(variance)
    return shift, factor, centre


def _class_columns(classes: NDArray[np.int64]) -> Floats:
    """(P, C - 1) indicators, centred over those whose class is known; 0 for the others."""
    known = classes >= 0
    names = np.unique(classes[known])[1:]
    columns: Floats = (classes[:, None] == names).astype(np.float64)
    if known.any():
        columns[known] -= columns[known].mean(axis=0)
    return columns


def _shrunk(values: Floats) -> tuple[Floats, Floats]:
    """Location (d,) and variance (d,) of one site's standardised features (n, d), drawn towards those of the others."""
    n = len(values)
    mean = values.mean(axis=0)
    if n < 2:  # no spread can be told
        return mean, np.ones_like(mean)
    variance = values.var(axis=0, ddof=1)
    prior_mean, prior_variance = mean.mean(), mean.var()
    m, s2 = variance.mean(), variance.var()
    if s2 <= np.finfo(float).tiny or prior_variance <= np.finfo(float).tiny:  # one feature, or all alike
        return mean, np.where(variance > LEAST_SD**2, variance, 1.0)
    shape, scale = (m**2 + 2 * s2) / s2, (m**3 + m * s2) / s2
    squares = ((values - mean) ** 2).sum(axis=0)
    location, spread = mean, variance
    for _ in range(STEPS):
        new = (n * prior_variance * mean + spread * prior_mean) / (n * prior_variance + spread)
        wider = (scale + (squares + n * (mean - new) ** 2) / 2) / (n / 2 + shape - 1)
        change = max(float(np.abs(new - location).max()), float(np.abs(wider / np.maximum(spread, 1e-12) - 1).max()))
        location, spread = new, wider
        if change < TOLERANCE:
            break
    return location, np.maximum(spread, LEAST_SD**2)


CORRECTIONS: dict[str, Callable[[Floats, NDArray[np.intp], NDArray[np.int64]], tuple[Floats, Floats, Floats]]] = {
    "none": _none,
    "site_scale": _site_scale,
    "combat": _combat,
}
"""Correction -> how it is fitted."""
