"""Bring the stain of a slide to a common look: fitted once on the slide's tissue, then applied to every tile.

Off unless the study asks for it; what it was is recorded beside the features.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from client.prepare.slides.macenko import fit_macenko
from client.prepare.slides.quality import Findings
from client.prepare.slides.reinhard import fit_reinhard
from client.prepare.slides.slide import WholeSlide
from shared.cohort.spread import spread
from shared.errors import SlideError

__all__ = ["Normaliser", "fit_stain"]

Normaliser = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""A tile (H, W, 3) to the same tile in the common look; may be called by several threads at once."""

WINDOWS = 64  # places from which pixels are taken, spread over the usable tissue
WINDOW = 64  # px, the side of a place
DETAIL = 8  # a pixel of the mask (about 8 um) over a pixel of the sample: nuclei stay apart at about 1 um
LEAST = 2_000  # pixels that carry stain


def fit_stain(kind: Literal["none", "macenko", "reinhard"], slide: WholeSlide, findings: Findings) -> Normaliser:
    """The normaliser of one slide; the same slide gives the same one, bit for bit.

    Raises
    ------
    SlideError
        There is too little tissue to fit it, or the tissue carries one stain only.
    """
    if kind == "none":
        return _unchanged
    pixels = _sample(slide, findings)
    if len(pixels) < LEAST:
        raise SlideError(
            f"expected at least {LEAST} stained pixels for stain normalisation, got {len(pixels)}; "
            "leave the slide out, or study it without stain normalisation"
        )
    fit = fit_macenko if kind == "macenko" else fit_reinhard
    return fit(pixels, findings.white)


def _unchanged(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return tile


def _sample(slide: WholeSlide, findings: Findings) -> NDArray[np.uint8]:
    """Stained pixels (N, 3) of windows spread over the usable tissue, in the slide's own colours."""
    mask = findings.usable
    places = np.argwhere(mask.pixels)
    level = slide.best_level(max(1.0, mask.scale / DETAIL) * 1.001)
    half = WINDOW * slide.level_downsamples[level] / 2
    parts = [np.zeros((0, 3), np.uint8)]
    for row, column in places[spread(len(places), WINDOWS)]:
        corner = [max(0, round((float(place) + 0.5) * mask.scale - half)) for place in (column, row)]
        parts.append(slide.read((corner[0], corner[1]), level, (WINDOW, WINDOW)).reshape(-1, 3))
    pixels = np.concatenate(parts)
    balanced = np.minimum(pixels / findings.white, 1)
    return np.asarray(pixels[(balanced.min(axis=1) < 0.86) & (balanced.max(axis=1) > 0.05)])
