"""Which part of a slide is worth encoding: tissue without ink, black and bubbles, and tiles in focus."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from client.prepare.slides.artifacts import find_black, find_bubbles, find_pen
from client.prepare.slides.overview import read_overview
from client.prepare.slides.slide import WholeSlide
from client.prepare.slides.tissue import TissueMask, find_tissue, white_of

__all__ = ["Findings", "inspect", "is_blurred"]

MASK_MPP = 8.0  # um a mask pixel, at most
PICTURE = 512  # px, the longer side of the picture kept for the thumbnail
LEAST_LEFT = 0.05  # of the tissue; below it quality control is wrong rather than the slide
FOCUS_MPP = 0.5  # um per px at which focus is judged: finer scans hold no finer detail
IN_FOCUS = 0.42  # variance of the Laplacian over the mean squared gradient


@dataclass(frozen=True, eq=False)
class Findings:
    """What a slide holds. `usable` is the tissue that tiles are cut from."""

    tissue: TissueMask
    usable: TissueMask
    fractions: dict[str, float]  # tissue, pen, black, bubbles: of the slide's area, 0 to 1
    warning: str = ""  # why quality control was not applied although asked for
    white: NDArray[np.float32] = field(default_factory=lambda: np.full(3, 255, np.float32))  # (3,) RGB of the glass
    picture: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0, 3), np.uint8))  # the slide, small


def inspect(slide: WholeSlide, mpp: float, quality: bool) -> Findings:
    """Find tissue and artifacts of a slide whose level 0 has `mpp` um per pixel.

    With `quality`, artifacts are taken out of `usable`; where that would leave next to nothing of the tissue, all of
    it stays and `warning` gives the reason. Without, they are only measured.
    """
    longest = max(slide.dimensions)
    overview = read_overview(slide, min(MASK_MPP / mpp, max(1.0, longest / PICTURE)))
    small, scale = _reduced(overview.pixels, overview.scale, MASK_MPP / mpp)
    white, um = white_of(small), mpp * scale
    tissue = find_tissue(small, white, um)
    artifacts = {
        "pen": find_pen(small, white, um),
        "black": find_black(small, white, um),
        "bubbles": find_bubbles(small, white, um),
    }
    fractions = {name: float(mask.mean()) for name, mask in {"tissue": tissue, **artifacts}.items()}
    clean = tissue & ~np.logical_or.reduce(list(artifacts.values()))
    warning = ""
    if quality and tissue.any() and clean.sum() < LEAST_LEFT * tissue.sum():
        shares = ", ".join(f"{name} {fractions[name]:.1%}" for name in artifacts)
        warning = (
            f"expected quality control to leave tissue, got {clean.sum() / tissue.sum():.1%} of it left "
            f"({shares} of the slide); all tissue was kept, so look at the slide"
        )
    picture = Image.fromarray(overview.pixels)
    picture.thumbnail((PICTURE, PICTURE), Image.Resampling.BOX, reducing_gap=None)
    whole = TissueMask(tissue, scale)
    usable = TissueMask(clean, scale) if quality and not warning else whole
    return Findings(whole, usable, fractions, warning, white, np.asarray(picture))


def is_blurred(tile: NDArray[np.uint8], mpp: float) -> bool:
    """Whether a tile (H, W, 3) of `mpp` um per px is out of focus.

    The variance of the Laplacian (Pech-Pacheco et al. 2000) grows with the contrast of the stain; divided by the mean
    squared gradient (Tenengrad) it only depends on how fine the detail is. Both are taken after a slight smoothing
    against the noise of the camera. Sharp tissue lies above .53, the same under a Gaussian of 2 px below .40; a tile
    without any detail is not blurred.
    """
    green = _detail(tile, mpp)
    smooth = green[:, :-2] + 2 * green[:, 1:-1] + green[:, 2:]
    smooth = smooth[:-2] + 2 * smooth[1:-1] + smooth[2:]
    middle = smooth[1:-1, 1:-1]
    above, below, left, right = smooth[:-2, 1:-1], smooth[2:, 1:-1], smooth[1:-1, :-2], smooth[1:-1, 2:]
    laplacian = above + below + left + right - 4 * middle
    gradient = ((below - above) ** 2 + (right - left) ** 2) / 4
    return bool(laplacian.var() < IN_FOCUS * gradient.mean())


def _detail(tile: NDArray[np.uint8], mpp: float) -> NDArray[np.float32]:
    """The green channel, in which both stains absorb, at `FOCUS_MPP` or the tile's resolution if that is coarser."""
    green = Image.fromarray(np.ascontiguousarray(tile[..., 1]))
    if mpp < FOCUS_MPP / 1.2:
        width, height = (max(8, round(side * mpp / FOCUS_MPP)) for side in green.size)
        green = green.resize((width, height), Image.Resampling.BOX)
    return np.asarray(green, dtype=np.float32)


def _reduced(pixels: NDArray[np.uint8], scale: float, wanted: float) -> tuple[NDArray[np.uint8], float]:
    """`pixels` averaged by a whole number, so that a pixel covers at most `wanted` where it covered `scale`."""
    factor = max(1, int(wanted / scale + 1e-6))
    return (pixels if factor == 1 else np.asarray(Image.fromarray(pixels).reduce(factor))), scale * factor
