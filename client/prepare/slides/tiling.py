"""Cut a slide into tiles of a given size and resolution."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from client.prepare.slides.slide import WholeSlide
from client.prepare.slides.tissue import TissueMask
from shared.errors import SlideError

__all__ = ["TileGrid", "read_tile"]

MIN_TISSUE = 0.5  # of a tile's area

COARSER = 1.1
"""A slide this much coarser than asked for still serves: scanners' nominal resolutions differ."""

NOMINAL = 0.01
"""No scanner's resolution is known better than this: within it, level pixels are averaged whole and not interpolated.

So a slide of .499 um per pixel gives its own pixels at .5, and one of .252 their means by twos. It is also how far a
level's downsample is off because levels have whole pixels."""

BLOCK = 4096  # px read at once, which bounds the memory of a tile cut from a level much finer than asked


@dataclass(frozen=True)
class TileGrid:
    """Tiles of `tile` px a side, made of `factor` x `factor` pixels of one level for every pixel."""

    tile: int
    level: int
    factor: float
    side: float  # level-0 px that make one tile's side

    @classmethod
    def of(cls, slide: WholeSlide, slide_mpp: float, *, tile: int, mpp: float) -> "TileGrid":
        """Tiles of `tile` px at `mpp` um per px from the nearest level at least as fine.

        Raises
        ------
        SlideError
            The slide's finest level is coarser than `mpp`.
        """
        if slide_mpp > mpp * COARSER:
            raise SlideError(
                f"expected a slide of at most {mpp:g} um per pixel, got {slide_mpp:g}; scan it at a higher power"
            )
        downsample = mpp / slide_mpp
        level = slide.best_level(max(downsample, 1.0) * (1 + NOMINAL))
        factor = downsample / slide.level_downsamples[level]
        if abs(factor / max(round(factor), 1) - 1) <= NOMINAL:
            factor = float(max(round(factor), 1))
        return cls(tile=tile, level=level, factor=factor, side=tile * factor * slide.level_downsamples[level])

    def tissue_tiles(self, slide: WholeSlide, tissue: TissueMask) -> NDArray[np.int64]:
        """Corners (N, 2) = x, y in level-0 pixels of the tiles with enough tissue, row by row, the grid centred.

        Each begins on the pixel of its level that is nearest to its place, so that rounding does not add up.
        """
        downsample = slide.level_downsamples[self.level]
        x, y = (_starts(extent, self.side, downsample) for extent in slide.dimensions)
        corners = np.stack([part.ravel() for part in np.meshgrid(x, y)], axis=1)
        enough = tissue.fraction(corners[:, 0], corners[:, 1], self.side) >= MIN_TISSUE
        return np.asarray(corners[enough])


def read_tile(slide: WholeSlide, grid: TileGrid, corner: tuple[int, int]) -> NDArray[np.uint8]:
    """The tile (tile, tile, 3) RGB at `corner` (x, y in level-0 pixels), the slide's own pixels where they fit.

    A whole `factor` averages whole blocks of pixels. Any other is resampled (antialiased bicubic) from the exact,
    fractional window, with as many pixels around it as the kernel reaches.

    Raises
    ------
    SlideError
        The slide is damaged there.
    """
    whole, (x, y) = grid.factor.is_integer(), (int(corner[0]), int(corner[1]))
    if whole:
        side = grid.tile * int(grid.factor)
        return _read_means(slide, (x, y), grid.level, (side, side), int(grid.factor))
    # A window too large to be read at once is averaged beforehand; the kernel does the rest, a factor of 2 to 4.
    coarse = max(1, int(grid.factor / 2)) if grid.tile * grid.factor > BLOCK else 1
    scale = grid.factor / coarse
    margin = coarse * (math.ceil(2 * max(scale, 1)) + 1)
    downsample, window = slide.level_downsamples[grid.level], grid.tile * grid.factor
    extents = slide.level_dimensions[grid.level]
    (left, right), (top, bottom) = (
        _span(at / downsample, window, margin, extent) for at, extent in zip((x, y), extents, strict=True)
    )
    start = (round(left * downsample), round(top * downsample))
    pixels = _read_means(slide, start, grid.level, (right - left, bottom - top), coarse)
    box_x, box_y = ((at - first) / downsample / coarse for at, first in zip((x, y), start, strict=True))
    box = (box_x, box_y, box_x + window / coarse, box_y + window / coarse)
    tile = Image.fromarray(pixels).resize((grid.tile, grid.tile), Image.Resampling.BICUBIC, box=box)
    return np.array(tile)


def _read_means(
    slide: WholeSlide, corner: tuple[int, int], level: int, size: tuple[int, int], factor: int
) -> NDArray[np.uint8]:
    """Means of factor x factor pixels of a region, read in blocks; `corner` in level-0 px, `size` in the level's."""
    if factor == 1:
        return slide.read(corner, level, size)
    (width, height), downsample = size, slide.level_downsamples[level]
    step = max(1, BLOCK // factor) * factor
    means = np.empty((-(-height // factor), -(-width // factor), 3), dtype=np.uint8)
    for top in range(0, height, step):
        for left in range(0, width, step):
            start = (corner[0] + round(left * downsample), corner[1] + round(top * downsample))
            block = Image.fromarray(slide.read(start, level, (min(step, width - left), min(step, height - top))))
            part = np.asarray(block.reduce(factor))
            row, column = top // factor, left // factor
            means[row : row + part.shape[0], column : column + part.shape[1]] = part
    return means


def _span(start: float, window: float, margin: int, extent: int) -> tuple[int, int]:
    """First pixel and the one past the last of a window along one axis, with its margin as far as there are pixels."""
    first, last = math.floor(start), math.ceil(start + window)
    return min(first, max(0, first - margin)), max(last, min(extent, last + margin))


def _starts(extent: int, side: float, downsample: float) -> NDArray[np.int64]:
    """Where whole tiles begin along one axis, in level-0 px; what is left over is split between both ends."""
    count, window = int(extent / side + 1e-6), side / downsample
    first = math.floor((extent - count * side) / 2 / downsample)  # rounded once, so that whole windows stay in step
    last = max(0, math.floor((extent - side) / downsample))
    starts = np.clip(np.rint(first + np.arange(count) * window), 0, last)
    return np.asarray(np.rint(starts * downsample), dtype=np.int64)
