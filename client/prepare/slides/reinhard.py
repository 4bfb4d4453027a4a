"""Stain normalisation by Reinhard et al. 2001, "Color transfer between images": mean and spread in l-alpha-beta."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import SlideError

__all__ = ["ReinhardNormaliser", "fit_reinhard"]

Floats = NDArray[np.float64]

RGB_TO_LMS = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])  # equation 4
LMS_TO_LAB = np.diag([3**-0.5, 6**-0.5, 2**-0.5]) @ np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]])  # equation 6
REFERENCE_MEAN = np.array([8.74108109, -0.12440419, 0.0444982])
REFERENCE_SD = np.array([0.6135447, 0.10989545, 0.0286032])
"""Tissue of TCGA-A2-A3XS-DX1 (Amgad et al. 2019), of intensities 0 to 255, natural logarithm."""
LEAST_SD = 1e-3
GLASS = (0.03, 0.11)  # saturation from which a pixel begins to be, and is wholly, moved


@dataclass(frozen=True, eq=False)
class ReinhardNormaliser:
    """Moves the tissue's mean and spread to the reference's; glass only loses its tint."""

    white: NDArray[np.float32]  # (3,) RGB of the glass
    mean: Floats  # (3,) of l, alpha, beta
    sd: Floats  # (3,)

    def __call__(self, tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The tile (H, W, 3) with the reference's mean and spread."""
        levels = np.arange(256, dtype=np.float32)
        balanced = np.stack([_balanced(levels, float(w))[tile[..., i]] for i, w in enumerate(self.white)], axis=2)
        moved = (_to_lab(balanced) - self.mean) / self.sd * REFERENCE_SD + REFERENCE_MEAN
        drawn = _to_rgb(moved)
        brightest = balanced.max(axis=2)
        saturation = (brightest - balanced.min(axis=2)) / np.maximum(brightest, 1)
        share = np.clip((saturation - GLASS[0]) / (GLASS[1] - GLASS[0]), 0, 1)[..., None]
        mixed = share * drawn + (1 - share) * balanced
        return np.asarray(np.clip(mixed + 0.5, 0, 255).astype(np.uint8))


def fit_reinhard(pixels: NDArray[np.uint8], white: NDArray[np.float32]) -> ReinhardNormaliser:
    """Fit to tissue pixels (N, 3) of a slide whose glass is `white` (3,).

    Raises
    ------
    SlideError
        All pixels have one colour.
    """
    lab = _to_lab(np.stack([_balanced(pixels[:, i], float(white[i])) for i in range(3)], axis=1))
    mean, sd = lab.mean(axis=0), lab.std(axis=0)
    if sd.min() < LEAST_SD:
        raise SlideError(
            "expected tissue of several colours for Reinhard normalisation, got one colour everywhere; "
            "leave the slide out, or study it without stain normalisation"
        )
    return ReinhardNormaliser(white, mean, sd)


def _balanced(values: NDArray[np.generic], white: float) -> NDArray[np.float32]:
    """Intensities with the glass at 255."""
    return np.asarray(np.minimum(np.asarray(values, dtype=np.float32) * np.float32(255 / white), 255))


def _to_lab(rgb: NDArray[np.float32]) -> Floats:
    """RGB (..., 3), 0 to 255, to l, alpha, beta."""
    return _mixed(np.log(np.maximum(_mixed(rgb, RGB_TO_LMS), 0.1)), LMS_TO_LAB)


def _to_rgb(lab: Floats) -> Floats:
    """The way back from `_to_lab`."""
    return _mixed(np.exp(_mixed(lab, np.linalg.inv(LMS_TO_LAB))), np.linalg.inv(RGB_TO_LMS))


def _mixed(values: NDArray[np.floating], matrix: Floats) -> Floats:
    """`matrix` (3, 3) times every (..., 3), summed in one order, so that bits don't depend on the shape."""
    parts = [values[..., c] for c in range(3)]
    return np.stack([parts[0] * row[0] + parts[1] * row[1] + parts[2] * row[2] for row in matrix], axis=-1)
