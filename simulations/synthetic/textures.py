"""Periodic noise fields, made once a process, from which every slide takes shifted copies."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["FIELD", "fibres", "grain", "shifted"]

FIELD = 1024
"""Side of every field in pixels; fields repeat without a seam."""

FloatField = NDArray[np.float32]  # (FIELD, FIELD)


@cache
def fibres() -> tuple[FloatField, ...]:
    """Eight fields of short fibres, one an orientation, each of mean 0 and SD 1.

    Fibres are about 15 px long and 2 px wide: longer ones look like hair.
    """
    return tuple(_filtered(seed, along=6.0, across=1.2, angle=seed * np.pi / 8) for seed in range(8))


@cache
def grain(size_px: float) -> FloatField:
    """Round blobs of about `size_px` standard deviation, mean 0 and SD 1."""
    return _filtered(100 + round(10 * size_px), along=size_px, across=size_px, angle=0.0)


def shifted(field: FloatField, rng: np.random.Generator) -> FloatField:
    """The same field seen from another corner, perhaps mirrored: new to a slide, free of cost."""
    dy, dx = rng.integers(0, FIELD, 2)
    moved = np.roll(field, (int(dy), int(dx)), axis=(0, 1))
    return moved[::-1] if rng.random() < 0.5 else moved


def _filtered(seed: int, *, along: float, across: float, angle: float) -> FloatField:
    """White noise under a Gaussian kernel with the given standard deviations (px) and orientation (radians)."""
    noise = np.random.default_rng(seed).standard_normal((FIELD, FIELD), dtype=np.float32)
    fy = np.fft.fftfreq(FIELD).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(FIELD).astype(np.float32)[None, :]
    u = fx * np.cos(angle) + fy * np.sin(angle)
    v = fy * np.cos(angle) - fx * np.sin(angle)
    kernel = np.exp(-2 * np.pi**2 * ((u * along) ** 2 + (v * across) ** 2))
    field = np.fft.irfft2(np.fft.rfft2(noise) * kernel, s=(FIELD, FIELD))
    standardised: FloatField = ((field - field.mean()) / field.std()).astype(np.float32)
    return standardised
