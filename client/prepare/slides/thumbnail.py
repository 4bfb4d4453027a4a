"""A small picture of a slide for the report: what was found on it, and which tiles were taken."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import binary_erosion

from client.prepare.slides.quality import Findings
from client.prepare.slides.slide import WholeSlide

__all__ = ["draw_thumbnail"]

OUTLINE = (0, 158, 115)  # green: tissue; these colours differ for every kind of colour vision (Okabe and Ito 2008)
EXCLUDED = (230, 159, 0)  # orange: tissue that quality control took out
TILES = (0, 60, 170)  # blue
TINT = 0.5
QUALITY = 85  # of the JPEG


def draw_thumbnail(slide: WholeSlide, findings: Findings, corners: NDArray[np.int64], side: float) -> bytes:
    """A JPEG of at most 512 px: the tissue's outline green, excluded tissue orange, tiles blue.

    Parameters
    ----------
    corners, side
        Corners (N, 2) = x, y of the tiles and their side, in level-0 pixels.

    Returns
    -------
    Equal input gives equal bytes; nothing of the slide's label or name is in them.
    """
    picture = findings.picture
    height, width = picture.shape[:2]
    excluded = _mask(findings.tissue.pixels & ~findings.usable.pixels, width, height)
    tissue = _mask(findings.tissue.pixels, width, height)
    drawn = picture.astype(np.float32)
    drawn[excluded] += TINT * (np.array(EXCLUDED, np.float32) - drawn[excluded])
    drawn[tissue & ~binary_erosion(tissue, border_value=1)] = OUTLINE
    image = Image.fromarray((drawn + 0.5).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    across, down = width / slide.dimensions[0], height / slide.dimensions[1]
    for x, y in corners.tolist():
        left, top = round(x * across), round(y * down)
        right, bottom = round((x + side) * across) - 1, round((y + side) * down) - 1
        pen.rectangle((left, top, max(right, left), max(bottom, top)), outline=TILES)
    file = BytesIO()
    image.save(file, "JPEG", quality=QUALITY, subsampling=0)  # or thin lines lose their colour
    return file.getvalue()


def _mask(pixels: NDArray[np.bool_], width: int, height: int) -> NDArray[np.bool_]:
    """A mask at the size of the picture."""
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST))
