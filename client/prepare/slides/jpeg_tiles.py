"""Decode the JPEG tiles of a TIFF slide directly, several times faster than through OpenSlide and with equal pixels.

OpenSlide renders every tile into a canvas with transparency; where levels are plain pages of JPEG tiles that is not
needed. What is not plain (a missing tile, a damaged one, an unusual one) is left to OpenSlide: `JpegTiles.read` then
returns None. OpenSlide refuses damaged JPEG streams, the decoder here does not, so streams are looked over first.
"""

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from threading import Lock

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from client.prepare.slides.tiff_levels import JpegLevel

__all__ = ["JpegTiles", "TileCache"]

Pixels = NDArray[np.uint8]  # (height, width, 3)

CACHE_BYTES = 128 * 2**20
"""Decoded tiles kept for a slide: more than one row of 256 px tiles across the widest slides (170,000 px)."""

MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""A JPEG marker other than a restart; in a baseline stream only the last two bytes are one."""

ZEROED = bytes(64)
"""A run that compressed pixels hardly ever hold, and that a lost block of a disk or of a copy does."""


class TileCache:
    """Decoded tiles by key, the least recently used dropped first; two threads that want the same decode it once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._tiles: OrderedDict[tuple[int, int, int], Future[Pixels | None]] = OrderedDict()

    def get(self, key: tuple[int, int, int], decode: Callable[[], Pixels | None]) -> Pixels | None:
        """The tile of `key`, from `decode` if it is not kept; what `decode` raises is raised and not kept."""
        with self._lock:
            kept = self._tiles.get(key)
            if kept is not None:
                self._tiles.move_to_end(key)
            else:
                mine = self._tiles[key] = Future()
                if len(self._tiles) > self._most:
                    self._tiles.popitem(last=False)
        if kept is not None:
            return kept.result()
        try:
            mine.set_result(decode())
        except BaseException as exc:
            mine.set_exception(exc)
            with self._lock:
                self._tiles.pop(key, None)
            raise
        return mine.result()


class JpegTiles:
    """Regions of the JPEG levels of one file; safe to use from several threads."""

    def __init__(self, path: Path, levels: Mapping[int, JpegLevel]) -> None:
        self.levels = levels
        self._file = os.open(path, os.O_RDONLY)
        largest = max(3 * width * height for width, height in (level.tile for level in levels.values()))
        self._cache = TileCache(max(4, CACHE_BYTES // largest))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def read(self, level: int, corner: tuple[int, int], size: tuple[int, int]) -> Pixels | None:
        """Pixels of a level, white beyond its border; None when OpenSlide must read them.

        `corner` (x, y) and `size` (width, height) are in pixels of the level.
        """
        page = self.levels.get(level)
        if page is None:
            return None
        (left, top), (width, height) = corner, size
        (across, down), (right, bottom) = page.tile, (min(left + width, page.size[0]), min(top + height, page.size[1]))
        pixels = np.full((height, width, 3), 255, dtype=np.uint8)
        if right <= max(left, 0) or bottom <= max(top, 0):
            return pixels
        for row in range(max(top, 0) // down, -(-bottom // down)):
            for column in range(max(left, 0) // across, -(-right // across)):
                tile = self._tile(level, page, row, column)
                if tile is None:
                    return None
                y, x = row * down, column * across
                rows, columns = slice(max(y, top), min(y + down, bottom)), slice(max(x, left), min(x + across, right))
                pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = tile[
                    rows.start - y : rows.stop - y, columns.start - x : columns.stop - x
                ]
        return pixels

    def _tile(self, level: int, page: JpegLevel, row: int, column: int) -> Pixels | None:
        offset, count = int(page.offsets[row, column]), int(page.counts[row, column])
        return self._cache.get((level, row, column), lambda: _decode(os.pread(self._file, count, offset), page))


def _decode(stream: bytes, page: JpegLevel) -> Pixels | None:
    """The pixels of one tile; None when the stream is not a plain, whole baseline JPEG of the level's tile size."""
    if not _is_whole(stream):
        return None
    try:
        pixels = imagecodecs.jpeg8_decode(stream, tables=page.tables, colorspace=page.colours, outcolorspace="RGB")
    except imagecodecs.Jpeg8Error:
        return None
    return pixels if pixels.shape == (page.tile[1], page.tile[0], 3) else None


def _is_whole(stream: bytes) -> bool:
    """Whether a stream begins and ends as a JPEG does and has, in between, no sign of lost bytes."""
    if not stream.startswith(b"\xff\xd8"):
        return False
    scan = stream.find(b"\xff\xda")
    end = MARKER.search(stream, scan + 2) if scan >= 0 else None
    return end is not None and end.start() == len(stream) - 2 and end.group() == b"\xff\xd9" and ZEROED not in stream
