"""One H&E-like slide as pixels: a pure function of the patient's morphology, the hospital's look and a seed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from simulations.synthetic.looks import Look
from simulations.synthetic.nuclei import Morphology, draw_nuclei, scatter_centres
from simulations.synthetic.outlines import fill, lesion_outline, tissue_outline
from simulations.synthetic.textures import FIELD, fibres, grain, shifted

__all__ = ["SIZE", "RenderedSlide", "render_slide"]

SIZE = FIELD  # px at 0.5 um

FloatField = NDArray[np.float32]  # (size, size)


@dataclass(frozen=True)
class RenderedSlide:
    """Pixels (size, size, 3) uint8 at 0.5 um, and the lesion's outline (vertices, 2) as x, y in pixels."""

    pixels: NDArray[np.uint8]
    lesion: NDArray[np.float64]


def render_slide(morphology: Morphology, look: Look, seeds: np.random.SeedSequence, size: int = SIZE) -> RenderedSlide:
    """Draw one slide of `size` pixels, at most SIZE; equal arguments give equal bytes."""
    rng = np.random.default_rng(seeds)
    outline = tissue_outline(size, rng)
    lesion = lesion_outline(outline, rng)
    tissue = fill(outline, size)
    covered = _soft(tissue, rng)
    centres = scatter_centres(fill(lesion, size), tissue, rng)
    nuclei = draw_nuclei(centres, morphology, size, rng)
    eosin = _ground(size, rng) * nuclei.eosin_left
    eosin *= 0.50 / eosin[tissue].mean()  # haloes must not lighten the slide
    haematoxylin = nuclei.haematoxylin + 0.06
    strength = np.exp(rng.normal(0, 0.10, 2))  # every slide is stained a little differently
    stains = (haematoxylin * covered * strength[0], eosin * covered * strength[1])
    return RenderedSlide(_scan(stains, look, rng), lesion)


def _soft(tissue: NDArray[np.bool_], rng: np.random.Generator) -> FloatField:
    """The tissue's mask with a frayed edge, 0 to 1."""
    edge = gaussian_filter(tissue.astype(np.float32), 5)
    covered: FloatField = np.clip((edge - 0.5 + 0.12 * _corner(grain(4.0), len(tissue), rng)) * 4 + 0.5, 0, 1)
    return covered


def _ground(size: int, rng: np.random.Generator) -> FloatField:
    """Eosin of the fibrillary ground, mean about 1."""
    weights = rng.dirichlet(np.full(len(fibres()), 1.0)) ** 0.5
    ground = np.full((size, size), 1.0, np.float32)
    for weight, field in zip(weights, fibres(), strict=True):
        ground += np.float32(0.13 * weight) * _corner(field, size, rng)
    ground += np.float32(0.06) * _corner(grain(0.8), size, rng)
    ground += np.float32(0.10) * _corner(grain(24.0), size, rng)
    return np.clip(ground, 0.2, None)


def _corner(field: FloatField, size: int, rng: np.random.Generator) -> FloatField:
    """A part of a noise field, (size, size)."""
    return shifted(field, rng)[:size, :size]


def _scan(stains: tuple[FloatField, FloatField], look: Look, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Absorbance to pixels through one hospital's stains and scanner."""
    blurred = [gaussian_filter(stain, look.blur_px, truncate=3.0) for stain in stains]
    size = len(stains[0])
    noise = _corner(grain(0.5), size, rng) * 1.5
    pixels = np.empty((size, size, 3), np.uint8)
    for channel in range(3):
        absorbed = blurred[0] * np.float32(look.haematoxylin[channel]) + blurred[1] * np.float32(look.eosin[channel])
        light = np.float32(look.white[channel]) * np.exp(-absorbed) + noise
        pixels[..., channel] = np.clip(light + 0.5, 0, 255)
    return pixels
