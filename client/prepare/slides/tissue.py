"""Where a slide holds tissue: stained pixels are saturated, glass and black borders are not."""

import numpy as np
import openslide
from numpy.typing import NDArray
from PIL import Image

__all__ = ["TissueMask", "find_tissue", "read_rgb"]

MASK_MPP = 8.0  # um per mask pixel, at most
BLOCK = 2048  # px read at once, which bounds the memory
SATURATION = 0.07  # (max - min) / max of white-balanced RGB; glass lies below
DARKEST = 0.12  # max of white-balanced RGB; black borders lie below
WHITE_PERCENTILE = 98  # of each channel: the glass, whatever tint the scanner gave it
DARKEST_WHITE = 200  # of 255; glass is never darker


class TissueMask:
    """A boolean picture of a slide; `scale` level-0 pixels make one of its pixels."""

    def __init__(self, pixels: NDArray[np.bool_], scale: float) -> None:
        self.pixels = pixels  # (rows, columns)
        self.scale = scale
        table = np.zeros((pixels.shape[0] + 1, pixels.shape[1] + 1), dtype=np.int64)
        table[1:, 1:] = pixels.cumsum(0).cumsum(1)
        self._sums = table

    def fraction(self, x: NDArray[np.int64], y: NDArray[np.int64], side: float) -> NDArray[np.float64]:
        """Tissue fraction of squares with corner (x, y) and `side`, all in level-0 pixels."""
        rows, columns = self.pixels.shape
        left, right = (np.clip(np.rint(v / self.scale).astype(int), 0, columns) for v in (x, x + side))
        top, bottom = (np.clip(np.rint(v / self.scale).astype(int), 0, rows) for v in (y, y + side))
        total = self._sums
        tissue = total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]
        return np.asarray(tissue / np.maximum((bottom - top) * (right - left), 1))


def find_tissue(slide: openslide.OpenSlide, mpp: float) -> TissueMask:
    """The tissue of a slide whose level 0 has `mpp` um per pixel; reads the coarsest level that suffices, in blocks."""
    level = slide.get_best_level_for_downsample(MASK_MPP / mpp)
    downsample = slide.level_downsamples[level]
    factor = max(1, int(MASK_MPP / (mpp * downsample)))
    width, height = slide.level_dimensions[level]
    step = BLOCK // factor * factor
    small = np.zeros((-(-height // factor), -(-width // factor), 3), dtype=np.uint8)
    for top in range(0, height, step):
        for left in range(0, width, step):
            size = (min(step, width - left), min(step, height - top))
            corner = (round(left * downsample), round(top * downsample))
            block = np.asarray(read_rgb(slide, corner, level, size).reduce(factor))
            row, column = top // factor, left // factor
            small[row : row + block.shape[0], column : column + block.shape[1]] = block
    return TissueMask(stained(small), scale=downsample * factor)


def stained(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which RGB pixels (rows, columns, 3) are stained tissue, measured against the slide's own white."""
    white = np.maximum(np.percentile(pixels, WHITE_PERCENTILE, axis=(0, 1)), DARKEST_WHITE)
    balanced = np.minimum(pixels / white.astype(np.float32), 1)
    brightest = balanced.max(axis=2)
    saturation = (brightest - balanced.min(axis=2)) / np.maximum(brightest, 1e-3)
    return np.asarray((saturation > SATURATION) & (brightest > DARKEST))


def read_rgb(slide: openslide.OpenSlide, corner: tuple[int, int], level: int, size: tuple[int, int]) -> Image.Image:
    """A region as RGB; where the scanner recorded nothing, white. `corner` in level-0 pixels, `size` in the level's."""
    region = slide.read_region(corner, level, size)
    picture = Image.new("RGB", region.size, (255, 255, 255))
    picture.paste(region, mask=region.getchannel("A"))
    return picture
