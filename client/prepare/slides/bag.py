"""From a slide file to its bag of patch features."""

from pathlib import Path

import numpy as np
import openslide

from client.prepare.encoders.table import Encoder
from client.prepare.slides.tiling import TileGrid, read_tiles, slide_mpp, spread
from client.prepare.slides.tissue import find_tissue
from shared.cohort.store_files import read_bag_attributes, write_bag
from shared.errors import SlideError
from shared.study import Slides

__all__ = ["BATCH", "encode_slide", "is_encoded"]

BATCH = 16
"""Tiles in one forward pass: fixed, because the last bits of a feature depend on it."""


def is_encoded(target: Path, slide_sha256: str, encoder_sha256: str) -> bool:
    """Whether `target` already holds that slide's features by those weights."""
    attributes = read_bag_attributes(target)
    return attributes.get("slide_sha256") == slide_sha256 and attributes.get("encoder_sha256") == encoder_sha256


def encode_slide(source: Path, target: Path, slide_sha256: str, settings: Slides, encoder: Encoder) -> int:
    """Tile, encode and write one slide; returns its number of patches.

    Raises
    ------
    SlideError
        OpenSlide cannot read the file, it does not state its resolution, or it has no tissue.
    """
    try:
        with openslide.OpenSlide(source) as slide:
            return _encode(slide, target, slide_sha256, settings, encoder)
    except openslide.OpenSlideError as exc:
        raise SlideError(_why_unreadable(source, exc)) from exc


def _encode(slide: openslide.OpenSlide, target: Path, slide_sha256: str, settings: Slides, encoder: Encoder) -> int:
    mpp = slide_mpp(slide)
    grid = TileGrid.of(slide, mpp, tile=settings.tile, mpp=settings.mpp)
    corners = grid.tissue_tiles(slide, find_tissue(slide, mpp))
    corners = corners[spread(len(corners), settings.max_patches)]
    if len(corners) == 0:
        width, height = (round(side * mpp) for side in slide.dimensions)
        raise SlideError(
            f"expected a tile of {settings.tile * settings.mpp:g} um with tissue, got none on {width} x {height} um; "
            "look at the slide, or ask for smaller tiles"
        )
    features = np.concatenate([encoder.encode(tiles) for tiles in read_tiles(slide, grid, corners, BATCH)])
    attributes: dict[str, str | int | float] = {
        "schema": 1,
        "encoder": encoder.name,
        "encoder_sha256": encoder.sha256,
        "dim": encoder.dim,
        "mpp": settings.mpp,
        "tile": settings.tile,
        "level": grid.level,
        "precision": "fp32",
        "engine": "torch",
        "slide_sha256": slide_sha256,
        "stain": "none",
        "patches": len(features),
    }
    write_bag(target, features, corners, attributes)
    return len(features)


def _why_unreadable(source: Path, exc: openslide.OpenSlideError) -> str:
    if source.stat().st_size == 0:
        return "expected a slide, got an empty file; copy it again"
    if isinstance(exc, openslide.OpenSlideUnsupportedFormatError):
        return "expected a slide that OpenSlide reads, got another format or half a file; copy or export it again"
    return f"expected a whole slide, got a damaged one ({exc}); copy it again"
