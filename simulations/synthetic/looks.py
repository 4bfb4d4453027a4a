"""How one hospital's slides look: its stains, its white balance, its scanner."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Look", "draw_look"]

HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])  # absorbance in red, green, blue
EOSIN = np.array([0.15, 0.93, 0.20])


@dataclass(frozen=True)
class Look:
    """Stain and scanner of one hospital; no field depends on any patient.

    `haematoxylin` and `eosin` are absorbances per unit of stain in red, green and blue; `white` is the glass, 0 to
    255; `blur_px` is the scanner's point spread (standard deviation); `jpeg_quality` is 70 to 92.
    """

    haematoxylin: tuple[float, float, float]
    eosin: tuple[float, float, float]
    white: tuple[float, float, float]
    blur_px: float
    jpeg_quality: int


def draw_look(seeds: np.random.SeedSequence, spread: float = 1.0) -> Look:
    """Draw a hospital's look: stain vectors vary by 10 %, strengths by 15 to 18 %, `spread` times that (0 = not)."""
    rng = np.random.default_rng(seeds)
    haematoxylin = HAEMATOXYLIN * np.exp(spread * rng.normal(0, 0.10, 3)) * np.exp(spread * rng.normal(0, 0.15))
    eosin = EOSIN * np.exp(spread * rng.normal(0, 0.10, 3)) * np.exp(spread * rng.normal(0, 0.18))
    white = np.clip(rng.normal(242, 4, 3), 228, 252)
    return Look(
        haematoxylin=_triple(haematoxylin),
        eosin=_triple(eosin),
        white=_triple(white),
        blur_px=float(rng.uniform(0.4, 0.8)),
        jpeg_quality=int(rng.integers(70, 93)),
    )


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (round(float(v), 6) for v in values)
    return red, green, blue
