"""Nuclei: the only part of a slide that knows the patient.

What follows the morphology level is shape alone: spread of sizes (not their mean area), lobulation, chromatin texture,
haloes and mitoses. The number of nuclei and each nucleus's absorbance are drawn without it, so that colour and
density stay silent.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from simulations.synthetic.textures import FIELD, grain

__all__ = ["Morphology", "NucleiMaps", "draw_nuclei", "scatter_centres"]

FloatArray = NDArray[np.float32]

WINDOW = 41  # px, side of the square in which a nucleus and its halo are drawn
REACH = WINDOW // 2
HARMONICS = (2, 3, 4, 5)
MEAN_RADIUS = 8.0  # px at 0.5 um: nuclei of 8 um


@dataclass(frozen=True)
class Morphology:
    """What a pathologist would see.

    `level` runs from 0 (bland, even nuclei) to 1 (pleomorphic, lobed, clumped chromatin, mitoses); `oligo` from 0 to 1
    is the share of nuclei with a clear halo ("fried eggs").
    """

    level: float
    oligo: float


@dataclass(frozen=True)
class NucleiMaps:
    """Haematoxylin absorbed by nuclei, and the share of eosin that haloes leave, both (size, size) float32."""

    haematoxylin: FloatArray
    eosin_left: FloatArray


def scatter_centres(lesion: NDArray[np.bool_], tissue: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
    """Places of nuclei, (n, 3): y, x, and 1 inside the lesion; lesions hold about twice as many as other tissue."""
    size = tissue.shape[0]
    spacing = 27
    y, x = np.mgrid[spacing // 2 : size : spacing, spacing // 2 : size : spacing]
    y, x = (axis + rng.integers(-9, 10, axis.shape) for axis in (y, x))
    y, x = (np.clip(axis.ravel(), 4, size - 5) for axis in (y, x))
    inside = lesion[y, x]
    keep = tissue[y, x] & (rng.random(y.size) < np.where(inside, 0.80, 0.36))
    return np.stack([y[keep], x[keep], inside[keep]], axis=1).astype(np.intp)


def draw_nuclei(centres: NDArray[np.intp], morphology: Morphology, size: int, rng: np.random.Generator) -> NucleiMaps:
    """Draw one nucleus a centre; those outside the lesion are always bland."""
    count = len(centres)
    inside = centres[:, 2] == 1
    level = np.where(inside, morphology.level, 0.0)
    haloed = rng.random(count) < np.where(inside, morphology.oligo, 0.04)
    border, softness = _borders(level, rng)
    shape = np.clip(0.5 + (border - _distance()) / softness, 0, 1)
    absorbed = shape * _chromatin(level, shape, border, rng)
    reach = border.mean(axis=(1, 2), keepdims=True) + rng.uniform(3.0, 5.0, (count, 1, 1)).astype(np.float32)
    ring = np.clip(0.5 + (reach - _distance()) / 2.5, 0, 1) * (1 - shape)
    eosin_left = 1 - np.where(haloed, 0.75, 0.0).astype(np.float32)[:, None, None] * ring
    return _place(centres, absorbed, eosin_left, size)


def _borders(level: NDArray[np.float64], rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Radius of each nucleus in the direction of every pixel, (n, W, W), and the softness of its edge (n, 1, 1)."""
    count = len(level)
    spread = 0.08 + 0.30 * level
    radius = MEAN_RADIUS * np.exp(rng.normal(0, 1, count) * spread - spread**2)  # mean area does not move
    mitotic = rng.random(count) < 0.05 * level
    waves = rng.normal(0, 1, (count, 2, len(HARMONICS))) / np.array(HARMONICS) ** 1.5
    waves *= (0.15 + 0.55 * level)[:, None, None]
    waves[mitotic, :, 0] = rng.normal(0, 0.35, (int(mitotic.sum()), 2))
    radius *= np.where(mitotic, 0.85, 1.0)
    radius /= np.sqrt(1 + (waves**2).sum(axis=(1, 2)) / 2)
    radius = np.clip(radius, 4.0, 14.0)
    wave = np.einsum("nk,kij->nij", waves.reshape(count, -1).astype(np.float32), _harmonics())
    border = np.minimum(radius.astype(np.float32)[:, None, None] * np.clip(1 + wave, 0.45, 1.7), REACH - 3)
    return border, rng.uniform(1.2, 2.0, (count, 1, 1)).astype(np.float32)


def _chromatin(
    level: NDArray[np.float64], shape: FloatArray, border: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Absorbance over each nucleus, (n, W, W): even at level 0, clumped with a rim at 1, with the same mean."""
    count = len(level)
    depth = 0.95 * np.exp(rng.normal(0, 0.18, count))
    clumps = _crops(grain(1.6), count, rng)
    fine = _crops(grain(0.8), count, rng)
    rim = np.exp(-(((border - _distance() - 1.2) / 1.1) ** 2))
    share = level.astype(np.float32)[:, None, None]
    texture = 1 + (0.05 + 0.55 * share) * clumps + 0.10 * fine + 0.8 * share * rim
    texture = np.clip(texture, 0.12, None)
    mass = (shape * texture).sum(axis=(1, 2)) / shape.sum(axis=(1, 2))
    absorbed: FloatArray = texture * (depth / mass).astype(np.float32)[:, None, None]
    return absorbed


def _crops(field: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Random windows of a noise field, (count, W, W)."""
    windows = np.lib.stride_tricks.sliding_window_view(field, (WINDOW, WINDOW))
    y, x = rng.integers(0, FIELD - WINDOW, (2, count))
    crops: FloatArray = windows[y, x]
    return crops


def _place(centres: NDArray[np.intp], absorbed: FloatArray, eosin_left: FloatArray, size: int) -> NucleiMaps:
    padded = size + 2 * REACH
    haematoxylin = np.zeros((padded, padded), np.float32)
    left = np.ones((padded, padded), np.float32)
    for (y, x, _), nucleus, halo in zip(centres.tolist(), absorbed, eosin_left, strict=True):
        window = (slice(y, y + WINDOW), slice(x, x + WINDOW))
        np.maximum(haematoxylin[window], nucleus, out=haematoxylin[window])
        np.minimum(left[window], halo, out=left[window])
    middle = slice(REACH, REACH + size)
    return NucleiMaps(haematoxylin[middle, middle], left[middle, middle])


@cache
def _offsets() -> tuple[FloatArray, FloatArray]:
    y, x = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1].astype(np.float32)
    return y, x


@cache
def _distance() -> FloatArray:
    y, x = _offsets()
    return np.hypot(y, x)


@cache
def _harmonics() -> FloatArray:
    """Cosine and sine of k times the angle of every window pixel, (2 * harmonics, W, W)."""
    angle = np.arctan2(*_offsets())
    return np.stack([wave(k * angle) for wave in (np.cos, np.sin) for k in HARMONICS]).astype(np.float32)
