"""Stain normalisation by Macenko et al. 2009, "A method for normalizing histology slides for quantitative analysis".

In optical density the colours of two stains lie in a plane; the extreme directions in it are the stains (section 2).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import SlideError

__all__ = ["MacenkoNormaliser", "fit_macenko"]

Floats = NDArray[np.float64]

BETA = 0.15  # optical density, natural logarithm, mean of the colours; what has less is glass
ALPHA = 1.0  # percentile of the angles that stands for their extremes
REFERENCE = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])
"""Haematoxylin and eosin, (2, 3) density in red, green and blue: of the authors' published code, as most tools use."""
REFERENCE_STRENGTH = np.array([1.9705, 1.0308])  # the 99th percentile of both stains in that reference
REFERENCE_WHITE = 240.0
LEAST_ANGLE = np.radians(3.0)  # between the stains; one stain alone spreads less
LEAST_DENSE = 500  # pixels


@dataclass(frozen=True, eq=False)
class MacenkoNormaliser:
    """Separates a slide's two stains and draws them again as the reference's."""

    white: NDArray[np.float32]  # (3,) RGB of the glass
    stains: Floats  # (2, 3) unit vectors: haematoxylin, eosin
    strength: Floats  # (2,) 99th percentile of both

    def __call__(self, tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The tile (H, W, 3) in the reference's stains; glass becomes 240."""
        levels = np.arange(256)
        density = [
            _density(levels, float(white)).astype(np.float32)[tile[..., i]] for i, white in enumerate(self.white)
        ]
        unmix = (np.linalg.pinv(self.stains) * (REFERENCE_STRENGTH / self.strength)).astype(np.float32)  # (3, 2)
        amounts = [np.maximum(sum(density[c] * unmix[c, stain] for c in range(3)), 0) for stain in range(2)]
        drawn = np.empty(tile.shape, np.float32)
        for channel in range(3):
            first, second = REFERENCE[:, channel].astype(np.float32)
            drawn[..., channel] = np.exp(-(amounts[0] * first + amounts[1] * second))
        return np.asarray(np.clip(drawn * REFERENCE_WHITE + 0.5, 0, 255).astype(np.uint8))


def fit_macenko(pixels: NDArray[np.uint8], white: NDArray[np.float32]) -> MacenkoNormaliser:
    """Fit to tissue pixels (N, 3) of a slide whose glass is `white` (3,).

    Raises
    ------
    SlideError
        Hardly anything is stained, or there is one stain only.
    """
    density = np.stack([_density(pixels[:, i], float(white[i])) for i in range(3)], axis=1)
    dense = density[density.mean(axis=1) > BETA]
    if len(dense) < LEAST_DENSE:
        raise SlideError(
            f"expected at least {LEAST_DENSE} well stained pixels for Macenko normalisation, got {len(dense)}; "
            "leave the slide out, or study it without stain normalisation"
        )
    _, vectors = np.linalg.eigh(np.cov(dense.T))
    plane = vectors[:, [2, 1]]  # (3, 2), the larger variance first
    plane = plane * np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
    angles = np.arctan2(dense @ plane[:, 1], dense @ plane[:, 0])
    low, high = np.percentile(angles, [ALPHA, 100 - ALPHA])
    if high - low < LEAST_ANGLE:
        raise SlideError(
            f"expected two stains for Macenko normalisation, got one (their angle is {np.degrees(high - low):.1f} "
            "degrees); leave the slide out, or study it without stain normalisation"
        )
    stains = np.stack([plane @ np.array([np.cos(angle), np.sin(angle)]) for angle in (low, high)])
    stains = stains[np.argsort(-stains[:, 0])]  # haematoxylin takes more red
    strength = np.percentile(dense @ np.linalg.pinv(stains), 99, axis=0)
    return MacenkoNormaliser(white, stains, np.maximum(strength, 1e-3))


def _density(values: NDArray[np.generic], white: float) -> Floats:
    """Optical density of intensities 0 to 255; glass and what is brighter has 0."""
    return np.maximum(-np.log((np.asarray(values, dtype=np.float64) + 1) / (white + 1)), 0)
