"""Outlines on a slide: the tissue, and the lesion inside it."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

__all__ = ["area", "fill", "lesion_outline", "tissue_outline"]

Outline = NDArray[np.float64]  # (vertices, 2), x and y in level-0 pixels, not closed

VERTICES = 96


def tissue_outline(size: int, rng: np.random.Generator) -> Outline:
    """The lobed border of the section: about two thirds of a slide of `size` pixels."""
    centre = size * (0.5 + rng.normal(0, 0.015, 2))
    return np.clip(_lobed(centre, size * rng.uniform(0.43, 0.48), rng), 6, size - 6)


def lesion_outline(tissue: Outline, rng: np.random.Generator) -> Outline:
    """The border of the tumour: a lobed region inside the tissue, roughly half to three quarters of it."""
    centre = tissue.mean(axis=0)
    mean_radius = float(np.hypot(*(tissue - centre).T).mean())
    shift = rng.normal(0, 0.10 * mean_radius, 2)
    lesion = _lobed(centre + shift, mean_radius * rng.uniform(0.76, 0.90), rng)
    return _inside(lesion, tissue, centre)


def fill(outline: Outline, size: int) -> NDArray[np.bool_]:
    """Pixels inside an outline, (size, size)."""
    canvas = Image.new("L", (size, size))
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in outline], fill=1)
    return np.asarray(canvas, dtype=bool)


def area(outline: Outline) -> float:
    """Area in square pixels (shoelace)."""
    x, y = outline.T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def _lobed(centre: NDArray[np.float64], radius: float, rng: np.random.Generator) -> Outline:
    angle = np.arange(VERTICES) * (2 * np.pi / VERTICES)
    wave = np.zeros(VERTICES)
    for lobes in range(2, 8):
        wave += rng.normal(0, 0.10 / lobes) * np.cos(lobes * angle + rng.uniform(0, 2 * np.pi))
    distance = radius * (1 + wave)
    outline: Outline = centre + distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return outline


def _inside(lesion: Outline, tissue: Outline, centre: NDArray[np.float64]) -> Outline:
    """Pull every vertex towards `centre` until it lies within 96 % of the tissue's radius in that direction."""
    tissue_angle = np.arctan2(*(tissue - centre).T[::-1])
    tissue_radius = np.hypot(*(tissue - centre).T)
    order = np.argsort(tissue_angle)
    offset = lesion - centre
    radius = np.hypot(*offset.T)
    limit = np.interp(
        np.arctan2(offset[:, 1], offset[:, 0]), tissue_angle[order], tissue_radius[order], period=2 * np.pi
    )
    pulled: Outline = centre + offset * np.minimum(1.0, 0.96 * limit / radius)[:, None]
    return pulled
