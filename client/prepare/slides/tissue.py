"""Where a slide holds tissue: stained pixels are saturated, glass and black borders are not."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, label

__all__ = ["TissueMask", "balanced_strips", "drop_specks", "extremes", "fill_holes", "find_tissue", "white_of"]

SATURATION = 0.07  # (max - min) / max of white-balanced RGB; glass lies below
DARKEST = 0.12  # max of white-balanced RGB; black borders lie below
WHITE_PERCENTILE = 98  # of each channel: the glass, whatever tint the scanner gave it
DARKEST_WHITE = 200  # of 255; glass is never darker
GAP = 24.0  # um: narrower clefts and vessels belong to the tissue around them
HOLE = 4_000.0  # um2: so do smaller holes, such as fat cells
SPECK = 3_000.0  # um2: smaller islands are dust or single cells; a tile of 224 px at .5 um has 12,500
STRIP = 256  # rows that are worked on at once, which bounds the memory


class TissueMask:
    """A boolean picture of a slide; `scale` level-0 pixels make one of its pixels."""

    def __init__(self, pixels: NDArray[np.bool_], scale: float) -> None:
        self.pixels = pixels  # (rows, columns)
        self.scale = scale
        table = np.zeros((pixels.shape[0] + 1, pixels.shape[1] + 1), dtype=np.int32)
        table[1:, 1:] = pixels.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32)
        self._sums = table

    def fraction(self, x: NDArray[np.int64], y: NDArray[np.int64], side: float) -> NDArray[np.float64]:
        """Tissue fraction of squares with corner (x, y) and `side`, all in level-0 pixels."""
        rows, columns = self.pixels.shape
        left, right = (np.clip(np.rint(v / self.scale).astype(int), 0, columns) for v in (x, x + side))
        top, bottom = (np.clip(np.rint(v / self.scale).astype(int), 0, rows) for v in (y, y + side))
        total = self._sums
        tissue = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
        return np.asarray(tissue / np.maximum((bottom - top) * (right - left), 1))


def white_of(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The glass of a slide as (3,) RGB, from its overview (rows, columns, 3)."""
    counts = [np.bincount(pixels[..., channel].ravel(), minlength=256) for channel in range(3)]
    brightest = [int(np.searchsorted(count.cumsum(), count.sum() * WHITE_PERCENTILE / 100)) for count in counts]
    return np.maximum(brightest, DARKEST_WHITE).astype(np.float32)


def find_tissue(pixels: NDArray[np.uint8], white: NDArray[np.float32], um: float) -> NDArray[np.bool_]:
    """The tissue of an overview (rows, columns, 3) of `um` um a pixel: stained, small holes closed, specks dropped."""
    found = np.concatenate([_stained(strip) for strip in balanced_strips(pixels, white)])
    return drop_specks(fill_holes(_close(found, GAP / um), HOLE / um**2), SPECK / um**2)


def fill_holes(mask: NDArray[np.bool_], largest: float) -> NDArray[np.bool_]:
    """`mask` with its holes of up to `largest` pixels filled; a bay that opens to the border is no hole."""
    holes = ~mask
    names, _ = label(holes)
    sizes = np.bincount(names.ravel())
    small = sizes <= largest
    for edge in (names[0], names[-1], names[:, 0], names[:, -1]):
        small[edge] = False
    small[0] = False
    return np.asarray(mask | small[names])


def drop_specks(mask: NDArray[np.bool_], smallest: float) -> NDArray[np.bool_]:
    """`mask` without its islands of fewer than `smallest` pixels."""
    names, _ = label(mask)
    large = np.bincount(names.ravel()) >= smallest
    large[0] = False
    return np.asarray(large[names])


def balanced_strips(pixels: NDArray[np.uint8], white: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """An overview (rows, columns, 3) in strips of (3, `STRIP` rows, columns), the glass at 1 and nothing above it."""
    for top in range(0, len(pixels), STRIP):
        strip = pixels[top : top + STRIP]
        yield np.stack([np.minimum(strip[..., channel] / white[channel], 1) for channel in range(3)])


def extremes(strip: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The largest and the smallest of the three colours of each pixel of (3, rows, columns)."""
    red, green, blue = strip
    return np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)


def _stained(strip: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which pixels of (3, rows, columns) are stained."""
    high, low = extremes(strip)
    return np.asarray((high - low > SATURATION * high) & (high > DARKEST))


def _close(mask: NDArray[np.bool_], width: float) -> NDArray[np.bool_]:
    """Bridge gaps of up to about `width` pixels; beyond the border the mask goes on as it is there."""
    reach = int(width / 2)
    if reach == 0:
        return mask
    padded = np.pad(mask, reach, mode="edge")
    closed = binary_closing(padded, iterations=reach)
    return np.asarray(closed[reach:-reach, reach:-reach])
