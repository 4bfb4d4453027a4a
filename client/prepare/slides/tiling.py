"""Cut a slide into tiles of a given size and resolution."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import openslide
from numpy.typing import NDArray
from PIL import Image

from client.prepare.slides.tissue import TissueMask, read_rgb
from shared.errors import SlideError

__all__ = ["TileGrid", "read_tiles", "slide_mpp", "spread"]

MIN_TISSUE = 0.5  # of a tile's area
COARSER = 1.1  # a slide this much coarser than asked for still serves: scanners' nominal resolutions differ


@dataclass(frozen=True)
class TileGrid:
    """Tiles of `tile` px at `mpp` um per px, read from one level of the slide."""

    tile: int
    level: int
    read: int  # px of that level which make one tile's side
    side: float  # level-0 px which make one tile's side

    @classmethod
    def of(cls, slide: openslide.OpenSlide, slide_mpp: float, *, tile: int, mpp: float) -> "TileGrid":
        """The grid that reads from the nearest level at least as fine as `mpp`.

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
        level = slide.get_best_level_for_downsample(max(downsample, 1.0) * 1.001)
        read = max(1, round(tile * downsample / slide.level_downsamples[level]))
        return cls(tile=tile, level=level, read=read, side=tile * downsample)

    def tissue_tiles(self, slide: openslide.OpenSlide, tissue: TissueMask) -> NDArray[np.int64]:
        """Corners (N, 2) = x, y in level-0 pixels of the tiles with enough tissue, row by row, the grid centred."""
        width, height = slide.dimensions
        x, y = (_starts(extent, self.side) for extent in (width, height))
        corners = np.stack([part.ravel() for part in np.meshgrid(x, y)], axis=1)
        enough = tissue.fraction(corners[:, 0], corners[:, 1], self.side) >= MIN_TISSUE
        return np.asarray(corners[enough])


def slide_mpp(slide: openslide.OpenSlide) -> float:
    """Micrometres per pixel of level 0, from the slide's own properties.

    Raises
    ------
    SlideError
        The slide does not say, or says nonsense.
    """
    written = slide.properties.get(openslide.PROPERTY_NAME_MPP_X, "")
    try:
        mpp = float(written)
    except ValueError:
        mpp = float("nan")
    if not 0.01 < mpp < 100:
        got = f"openslide.mpp-x = {written!r}" if written else "no property openslide.mpp-x"
        raise SlideError(
            f"expected a slide that states its um per pixel, got {got}; export it again with its resolution"
        )
    return mpp


def spread(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of `count` positions, evenly spread, always the same."""
    chosen = min(count, most)
    return ((np.arange(chosen) + 0.5) * count / max(chosen, 1)).astype(np.int64)


def read_tiles(
    slide: openslide.OpenSlide, grid: TileGrid, corners: NDArray[np.int64], batch: int
) -> Iterator[NDArray[np.uint8]]:
    """Tiles (B, tile, tile, 3) in the order of `corners`, `batch` at a time."""
    for start in range(0, len(corners), batch):
        tiles = [_read_tile(slide, grid, (int(x), int(y))) for x, y in corners[start : start + batch]]
        yield np.stack(tiles)


def _read_tile(slide: openslide.OpenSlide, grid: TileGrid, corner: tuple[int, int]) -> NDArray[np.uint8]:
    picture = read_rgb(slide, corner, grid.level, (grid.read, grid.read))
    if grid.read != grid.tile:
        picture = picture.resize(
            (grid.tile, grid.tile), Image.Resampling.BOX if grid.read > grid.tile else Image.Resampling.BICUBIC
        )
    return np.asarray(picture)


def _starts(extent: int, side: float) -> NDArray[np.int64]:
    """Where whole tiles begin along one axis; what is left over is split between both ends."""
    count = int(extent / side + 1e-6)
    return np.asarray(np.rint((extent - count * side) / 2 + np.arange(count) * side).astype(np.int64))
