"""What lies on a slide and is not tissue: ink, black borders, air bubbles; found on the overview, never by a tile.

All three are conservative: what is left in costs a few poor tiles, what is taken out wrongly costs a patient. Colours
are measured against the slide's own white and in areas of at least the width of a pen stroke, so that single
nuclei, red cells and specks of tissue dye are never meant.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_erosion, binary_fill_holes, binary_opening, label, uniform_filter

from client.prepare.slides.tissue import balanced_strips, extremes, fill_holes

__all__ = ["find_black", "find_bubbles", "find_pen"]

Mask = NDArray[np.bool_]  # (rows, columns)
Floats = NDArray[np.float32]

STROKE = 100.0  # um: the thinnest pen stroke; felt pens write .3 mm and more
THICK = 64.0  # um: a thinner dark line is a fold, a fibre or the rim of a bubble
BUBBLE = 200.0  # um: the smallest diameter of a bubble that matters
RIM = 32.0  # um: how much of a bubble's inside belongs to its rim
SMOOTH = 0.035  # SD within 5 x 5 px, white = 1; tissue and empty stroma have more


def find_pen(pixels: NDArray[np.uint8], white: Floats, um: float) -> Mask:
    """Blue, green and red ink on an overview (rows, columns, 3) of `um` um a pixel.

    Hues (degrees): green 80 to 190, blue 190 to 228, red 345 to 15. Haematoxylin is violet (240 and more), in bluish
    stains less but then dark and mixed with eosin; eosin is pink (300 to 345), thick blood dark. So blue ink must be
    vivid and bright, red ink even more so. Black ink counts as black.
    """
    found = np.concatenate([_inked(strip) for strip in balanced_strips(pixels, white)])
    if not found.any():
        return found
    reach = max(1, round(STROKE / um / 4))
    strokes = binary_opening(binary_closing(found, iterations=reach) | found, iterations=reach)
    return np.asarray(fill_holes(strokes, (STROKE / um) ** 2))


def find_black(pixels: NDArray[np.uint8], white: Floats, um: float) -> Mask:
    """Black borders, black ink, and folds so dark that nothing is seen in them."""
    pairs = (extremes(strip) for strip in balanced_strips(pixels, white))
    dark = np.concatenate([(high < 0.22) & (high - low < 0.10) for high, low in pairs])
    if not dark.any():
        return dark
    reach = max(1, round(THICK / um / 2))
    padded = np.pad(dark, reach, mode="edge")  # a border goes on outside
    return np.asarray(binary_opening(padded, iterations=reach)[reach:-reach, reach:-reach])


def find_bubbles(pixels: NDArray[np.uint8], white: Floats, um: float) -> Mask:
    """Air under the cover glass: a closed grey rim, darker than the glass, around an even inside.

    A follicle or a vessel has a stained rim, a circle drawn by a pathologist holds tissue: neither counts. A bubble
    whose rim is stained through, or cut by the border, is not found.
    """
    grey, light = _grey_and_light(pixels, white)
    rim = binary_closing(grey & (light < 0.75), iterations=1)
    names, count = label(binary_fill_holes(rim) & ~rim)
    sizes = np.bincount(names.ravel(), minlength=count + 1)
    large = sizes * um**2 >= np.pi / 4 * BUBBLE**2
    large[0] = False
    if not large.any():
        return np.zeros(rim.shape, dtype=bool)
    reach = max(1, round(RIM / um))
    core = binary_erosion(large[names], iterations=reach)
    cores = np.bincount(names[core], minlength=count + 1)
    mean = uniform_filter(light, 5)
    spread = np.sqrt(np.maximum(uniform_filter(light**2, 5) - mean**2, 0))
    rough = np.bincount(names[core], weights=spread[core], minlength=count + 1) / np.maximum(cores, 1)
    bubbles = (cores > 0) & (rough < SMOOTH)
    return np.asarray(binary_closing(np.pad(bubbles[names], reach), iterations=reach)[reach:-reach, reach:-reach])


def _inked(strip: Floats) -> Mask:
    """Pixels of (3, rows, columns), white = 1, in the colours of pens."""
    high, low = extremes(strip)
    chroma = high - low
    hue = _hue(strip, high, chroma)
    green = (hue >= 80) & (hue < 190) & (chroma > 0.25 * high) & (chroma > 0.10)
    blue = (hue >= 190) & (hue < 228) & (chroma > 0.42)
    red = ((hue >= 345) | (hue < 15)) & (chroma > 0.82 * high) & (high > 0.75)
    return np.asarray(green | blue | red)


def _hue(strip: Floats, high: Floats, chroma: Floats) -> Floats:
    """Hue in degrees, 0 to 360; any where there is no colour."""
    red, green, blue = strip
    safe = np.maximum(chroma, 1e-6)
    sector = np.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4)
    sector = np.where(high == red, (green - blue) / safe % 6, sector)
    return np.asarray(sector * 60)


def _grey_and_light(pixels: NDArray[np.uint8], white: Floats) -> tuple[Mask, Floats]:
    """Which pixels have hardly any colour, and how light all are, white = 1."""
    grey, light = [], []
    for strip in balanced_strips(pixels, white):
        high, low = extremes(strip)
        grey.append(high - low < 0.08)
        light.append(strip.mean(axis=0))
    return np.concatenate(grey), np.concatenate(light)
