"""A slide at low resolution, read in blocks so that the memory does not depend on the slide's size.

Where the nearest level is small, all of it is read. A large one (a slide of a single level) is probed first: every
other tile of every other row of its tiles, a quarter of the pixels. Only blocks with something on the glass, and those
beside them, are then read whole; whatever is as wide as a tile of the file, some 60 to 130 um, touches a probe.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_dilation

from client.prepare.slides.slide import WholeSlide

__all__ = ["Overview", "read_overview"]

MOST_PIXELS = 8_000_000  # of an overview
BLOCK = 2048  # px of the level read at once
PROBED_ABOVE = 100_000_000  # px of a level; below, all of it is read
PROBES = 4  # tiles of the file along the side of a probed block
FILE_TILE = 256  # px, where the file does not say
DARKEST_GLASS = 180  # of 255
BARE = 12  # of 255: how far a channel of bare glass may lie from the glass's own colour


@dataclass(frozen=True)
class Overview:
    """A picture of a whole slide; `scale` level-0 pixels make one of its pixels."""

    pixels: NDArray[np.uint8]  # (rows, columns, 3)
    scale: float


@dataclass(frozen=True)
class _Reader:
    """One level of a slide, of which `factor` pixels in square make one pixel of the overview."""

    slide: WholeSlide
    level: int
    factor: int

    def read(self, left: int, top: int, side: tuple[int, int], target: NDArray[np.uint8]) -> None:
        """Put the region at (left, top) of the level, at most `side` = (width, height), into its place of `target`."""
        width, height = self.slide.level_dimensions[self.level]
        downsample = self.slide.level_downsamples[self.level]
        corner = (round(left * downsample), round(top * downsample))
        size = (min(side[0], width - left), min(side[1], height - top))
        block = np.asarray(Image.fromarray(self.slide.read(corner, self.level, size)).reduce(self.factor))
        row, column = top // self.factor, left // self.factor
        target[row : row + block.shape[0], column : column + block.shape[1]] = block


def read_overview(slide: WholeSlide, downsample: float) -> Overview:
    """The slide with at most `downsample` level-0 pixels to a pixel, or more where it would have over 8 million."""
    level = slide.best_level(max(downsample, 1.0) * 1.001)
    extent, tile = slide.level_dimensions[level], _file_tile(slide, level)
    least = math.ceil((extent[0] * extent[1] / MOST_PIXELS) ** 0.5)
    factor = max(1, int(downsample / slide.level_downsamples[level] * 1.001), least)
    probing = extent[0] * extent[1] > PROBED_ABOVE
    if probing:  # probes are whole tiles of the file, so a pixel must not straddle two of them
        factor = max(n for n in range(1, factor + 1) if tile[0] % n == tile[1] % n == 0)
    pixels = np.zeros((-(-extent[1] // factor), -(-extent[0] // factor), 3), dtype=np.uint8)
    reader = _Reader(slide, level, factor)
    if probing:
        _read_probed(reader, tile, pixels)
    else:
        step = max(1, BLOCK // factor) * factor
        for left, top in _corners(extent, (step, step)):
            reader.read(left, top, (step, step), pixels)
    return Overview(pixels, slide.level_downsamples[level] * factor)


def _read_probed(reader: _Reader, tile: tuple[int, int], pixels: NDArray[np.uint8]) -> None:
    """Fill `pixels`: probes of the size of a `tile`, then the blocks that are not bare; the rest is glass."""
    extent = reader.slide.level_dimensions[reader.level]
    for left, top in _corners(extent, (2 * tile[0], 2 * tile[1])):
        reader.read(left, top, tile, pixels)
    wide, high = (side // reader.factor for side in tile)
    even = [np.arange(length) // side % 2 == 0 for length, side in zip(pixels.shape[:2], (high, wide), strict=True)]
    probed = even[0][:, None] & even[1]
    bright = pixels[probed & (pixels.min(axis=2) > DARKEST_GLASS)]
    glass = np.median(bright, axis=0).astype(np.uint8) if len(bright) else np.full(3, 255, np.uint8)
    other = (np.abs(pixels.astype(np.int16) - glass) > BARE).any(axis=2) & probed
    wide, high = PROBES * wide, PROBES * high
    used = np.logical_or.reduceat(other, np.arange(0, len(other), high), axis=0)
    used = np.logical_or.reduceat(used, np.arange(0, other.shape[1], wide), axis=1)
    pixels[:] = glass
    for row, column in np.argwhere(binary_dilation(used, np.ones((3, 3)))):
        left, top = int(column) * PROBES * tile[0], int(row) * PROBES * tile[1]
        reader.read(left, top, (PROBES * tile[0], PROBES * tile[1]), pixels)


def _file_tile(slide: WholeSlide, level: int) -> tuple[int, int]:
    """Width and height of the file's own tiles in px of the level."""
    written = [slide.properties.get(f"openslide.level[{level}].tile-{side}", "") for side in ("width", "height")]
    width, height = (int(text) if text.isdigit() and 0 < int(text) <= BLOCK else FILE_TILE for text in written)
    return width, height


def _corners(extent: tuple[int, int], step: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Corners (x, y) of blocks that cover `extent` = (width, height), row by row."""
    for top in range(0, extent[1], step[1]):
        for left in range(0, extent[0], step[0]):
            yield left, top
