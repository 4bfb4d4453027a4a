"""How one hospital's radiographs look: tube, detector, processing. No field depends on any patient."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from simulations.synthetic.bone.scene import SHAPE
from simulations.synthetic.textures import FIELD, grain

__all__ = ["Exposure", "develop", "draw_exposure"]


@dataclass(frozen=True)
class Exposure:
    """One hospital's way from absorption to brightness."""

    gain: float  # brightness of absorption 1 before saturation
    gamma: float
    black: float  # brightness of air
    blur_px: float
    noise: float  # SD, as a share of full brightness
    shading: float  # loss of brightness towards the corners


def draw_exposure(seeds: np.random.SeedSequence) -> Exposure:
    """Draw a hospital's exposure."""
    rng = np.random.default_rng(seeds)
    return Exposure(
        gain=float(rng.uniform(0.90, 1.20)),
        gamma=float(rng.uniform(0.85, 1.20)),
        black=float(rng.uniform(0.02, 0.14)),
        blur_px=float(rng.uniform(0.4, 0.9)),
        noise=float(rng.uniform(0.008, 0.018)),
        shading=float(rng.uniform(0.0, 0.12)),
    )


def develop(absorption: NDArray[np.float32], exposure: Exposure, rng: np.random.Generator) -> NDArray[np.float32]:
    """Brightness 0 to 1 of every pixel, bone bright; each picture is exposed a little differently."""
    dose = exposure.gain * float(np.exp(rng.normal(0, 0.08)))
    light = 1 - np.exp(-dose * gaussian_filter(absorption, exposure.blur_px, truncate=3.0))
    y, x = np.ogrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    corners = (1 - exposure.shading * (y**2 + x**2) / 2).astype(np.float32)
    bright = (exposure.black + (1 - exposure.black) * light**exposure.gamma) * corners
    dy, dx = (int(rng.integers(FIELD - side)) for side in SHAPE)
    noise = grain(0.5)[dy : dy + SHAPE[0], dx : dx + SHAPE[1]] * exposure.noise
    developed: NDArray[np.float32] = np.clip(bright + noise, 0, 1).astype(np.float32)
    return developed
