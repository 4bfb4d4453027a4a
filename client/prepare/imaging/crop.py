"""Cut the lesion, or the whole image, out of a picture as one square tile."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.cohort.imaging_sheet import Box
from shared.errors import ImageError

__all__ = ["MARGIN", "TILE", "inside", "shrunk", "square_tile", "whole"]

MARGIN = 1.2
"""Side of the crop over the longer side of the lesion's box (SEEDS.md section 3, item 1)."""
TILE = 224
"""Side of a tile in px, as the image encoders expect it."""


def whole(pixels: NDArray[np.uint8]) -> Box:
    """The box of a whole picture (H, W, 3)."""
    height, width = pixels.shape[:2]
    return 0.0, 0.0, float(width), float(height)


def inside(box: Box, pixels: NDArray[np.uint8]) -> Box:
    """The box cut at the border of its picture (H, W, 3), which a hand may overshoot.

    Raises
    ------
    ImageError
        The box lies beside the picture, or less than half of it inside: it was drawn on another one.
    """
    _, _, width, height = whole(pixels)
    x0, y0, x1, y1 = box
    cut = min(x0, width), min(y0, height), min(x1, width), min(y1, height)
    if (cut[2] - cut[0]) * (cut[3] - cut[1]) < (x1 - x0) * (y1 - y0) / 2:
        raise ImageError(
            f"expected a box inside the image of {width:g} x {height:g} px, got {x0:g}, {y0:g}, {x1:g}, {y1:g}; "
            "correct it in imaging.csv, or give the image it was drawn on"
        )
    return cut


def square_tile(pixels: NDArray[np.uint8], box: Box | None) -> NDArray[np.uint8]:
    """A tile (224, 224, 3) of the picture (H, W, 3): the square around `box` with its margin, or all of the picture.

    A square that hangs over the border is moved inside. Where the picture is smaller than the square, and around a
    whole picture that is no square, black is added evenly on both sides, so that nothing is ever stretched.
    """
    x0, y0, x1, y1 = whole(pixels) if box is None else box
    side = max(x1 - x0, y1 - y0) * (1.0 if box is None else MARGIN)
    height, width = pixels.shape[:2]
    left, pad_x = _placed((x0 + x1) / 2, side, width)
    top, pad_y = _placed((y0 + y1) / 2, side, height)
    if pad_x or pad_y:
        pixels = np.pad(pixels, ((pad_y, pad_y), (pad_x, pad_x), (0, 0)))
    corner = (left + pad_x, top + pad_y)
    height, width = pixels.shape[:2]
    area = (*corner, min(corner[0] + side, width), min(corner[1] + side, height))  # less what rounding added
    image = Image.fromarray(pixels).resize((TILE, TILE), Image.Resampling.BILINEAR, box=area)
    return np.array(image)


def _placed(centre: float, side: float, length: int) -> tuple[float, int]:
    """Where a stretch of `side` px begins on a line of `length` px, and how many px to add at each end."""
    if side > length:
        start = (length - side) / 2
        return start, math.ceil(-start)
    return min(max(centre - side / 2, 0.0), length - side), 0


def shrunk(pixels: NDArray[np.uint8], longest: int) -> tuple[NDArray[np.uint8], float]:
    """The picture with its longer side at most `longest` px, and the new size over the old one."""
    height, width = pixels.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return pixels, 1.0
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)), factor
