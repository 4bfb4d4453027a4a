"""Where a TIFF slide stores the tiles of each of its levels, and whether the file holds all that it points at."""

import logging
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from shared.errors import SlideError

__all__ = ["JpegLevel", "jpeg_levels"]

# It logs faults with the name of the file, which may name a patient; every fault ends as a SlideError or is harmless.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

UNREADABLE = (
    tifffile.TiffFileError,
    OSError,
    struct.error,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    ArithmeticError,
)
"""What tifffile raises on TIFFs that it does not understand."""

VENDORS = ("aperio", "generic-tiff")
"""Makers whose levels are TIFF pages without overlap or offset; all others are left to OpenSlide."""

LARGEST_TILE = 2048  # px a side; a bound on what a handful of decoded tiles take
JPEG = 7
CHUNKY = 1
COLOURS: Mapping[int, Literal["RGB", "YCBCR"]] = {2: "RGB", 6: "YCBCR"}


@dataclass(frozen=True)
class JpegLevel:
    """One level of a slide as a page of JPEG tiles, row by row."""

    size: tuple[int, int]  # width, height in px
    tile: tuple[int, int]  # width, height in px
    offsets: NDArray[np.int64]  # (rows, columns): first byte in the file
    counts: NDArray[np.int64]  # (rows, columns): bytes; 0 where the tile is missing
    tables: bytes | None  # JPEG tables that all tiles share
    colours: Literal["RGB", "YCBCR"]  # of the JPEG stream, which the TIFF says and the stream often does not


def jpeg_levels(path: Path, vendor: str, dimensions: Sequence[tuple[int, int]]) -> dict[int, JpegLevel]:
    """The levels of OpenSlide's `dimensions` (width, height) that are pages of JPEG tiles, by number.

    Raises
    ------
    SlideError
        The file ends before the tiles that it points at.
    """
    if vendor not in VENDORS:
        return {}
    try:
        with tifffile.TiffFile(path) as tiff:
            pages = [page for page in tiff.pages if isinstance(page, tifffile.TiffPage)]
            reach = max((_reach(page) for page in pages), default=0)
            tiled = [page for page in pages if page.is_tiled]
            found = {level: [page for page in tiled if _size(page) == size] for level, size in enumerate(dimensions)}
            levels = {
                level: _level(pages[0]) for level, pages in found.items() if len(pages) == 1 and _is_jpeg(pages[0])
            }
    except UNREADABLE:
        return {}
    length = path.stat().st_size
    if reach > length:
        raise SlideError(
            f"expected a whole slide of at least {reach} bytes, got the first {length} of them; copy it again"
        )
    return levels


def _reach(page: tifffile.TiffPage) -> int:
    """The first byte after the last one that a page points at."""
    counts = np.asarray(page.databytecounts, dtype=np.int64)
    ends = np.asarray(page.dataoffsets, dtype=np.int64) + counts
    return int(ends[counts > 0].max(initial=0))


def _size(page: tifffile.TiffPage) -> tuple[int, int]:
    return page.imagewidth, page.imagelength


def _is_jpeg(page: tifffile.TiffPage) -> bool:
    return (
        page.compression == JPEG
        and page.planarconfig == CHUNKY
        and page.photometric in COLOURS
        and page.samplesperpixel == 3
        and page.bitspersample == 8
        and max(page.tilewidth, page.tilelength) <= LARGEST_TILE
    )


def _level(page: tifffile.TiffPage) -> JpegLevel:
    across, down = -(-page.imagewidth // page.tilewidth), -(-page.imagelength // page.tilelength)
    return JpegLevel(
        size=_size(page),
        tile=(page.tilewidth, page.tilelength),
        offsets=np.asarray(page.dataoffsets, dtype=np.int64).reshape(down, across),
        counts=np.asarray(page.databytecounts, dtype=np.int64).reshape(down, across),
        tables=page.jpegtables,
        colours=COLOURS[page.photometric],
    )
