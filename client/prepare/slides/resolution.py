"""How many micrometres one pixel of a slide measures: what the file says, else what slides.tsv says.

Nothing is guessed from a magnification: "20x" means .5 um on one scanner and .35 on another. The order is

1. the scanner's own statement (`openslide.mpp-x`, `openslide.mpp-y`),
2. the TIFF resolution tags, unless they are a screen's or a printer's (72, 96, 300 dots per inch),
3. the column `mpp` of slides.tsv.

Where the file and slides.tsv both say it, they must agree within 5 %: otherwise one of them describes another slide or
another export of it, and taking either would silently change every tile's scale.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Protocol

from shared.errors import SlideError

__all__ = ["COARSEST", "FINEST", "slide_mpp"]

FINEST, COARSEST = 0.05, 20.0
"""um per pixel that a scan of tissue can have: finer than any objective resolves, coarser than any overview."""

SAME = 1.05
"""Two statements of a resolution, or those along x and y, differ by no more than this factor."""

UM_PER_UNIT = {"inch": 25_400.0, "centimeter": 10_000.0}
COLUMN = "add a column mpp to slides.tsv"


class HasProperties(Protocol):
    """A slide, as far as its resolution goes."""

    @property
    def properties(self) -> Mapping[str, str]:
        """OpenSlide's properties."""


def slide_mpp(slide: HasProperties, written: float | None = None) -> float:
    """Micrometres per pixel of level 0; `written` is the slide's `mpp` in slides.tsv, None where it has none.

    Raises
    ------
    SlideError
        Nobody says it, it is zero, negative or absurd, x and y differ, or the file and slides.tsv disagree.
    """
    if written is not None and not _is_sane(written):
        raise SlideError(
            f"expected an mpp of {FINEST:g} to {COARSEST:g} um per pixel in slides.tsv, got {written:g}; correct it"
        )
    recorded, faults = None, list[str]()
    for name, x, y in _statements(slide.properties):
        if not (_is_sane(_number(x)) and _is_sane(_number(y))):
            faults.append(f"{name} = {x}, {y}")
        elif not _are_same(_number(x), _number(y)):
            raise SlideError(f"expected square pixels, got {name} = {x}, {y}; export the slide with square pixels")
        else:
            recorded = recorded or _number(x)
    if recorded is None and written is None:
        got = "; ".join(faults) or "none in its properties or TIFF resolution tags"
        raise SlideError(
            f"expected a resolution of {FINEST:g} to {COARSEST:g} um per pixel in the slide, got {got}; {COLUMN}"
        )
    if recorded is not None and written is not None and not _are_same(recorded, written):
        raise SlideError(
            f"expected slides.tsv to agree with the slide, got mpp {written:g} there and {recorded:g} in the file; "
            "correct slides.tsv, or leave its mpp empty"
        )
    return recorded if recorded is not None else float(written or 0)


def _statements(properties: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """What the file says, best first: name, um per pixel along x, along y."""
    x, y = (properties.get(f"openslide.mpp-{axis}", "") for axis in "xy")
    if x or y:
        yield "openslide.mpp", x or "nothing", y or "nothing"
    unit = UM_PER_UNIT.get(properties.get("tiff.ResolutionUnit", ""))
    x, y = (properties.get(f"tiff.{axis}Resolution", "") for axis in "XY")
    if unit and (x or y):
        x, y = (f"{unit / dots:g}" if (dots := _number(text)) > 0 else text or "nothing" for text in (x, y))
        yield "um per pixel by TIFF resolution tags", x, y


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _is_sane(mpp: float) -> bool:
    return FINEST <= mpp <= COARSEST


def _are_same(one: float, other: float) -> bool:
    return 1 / SAME <= one / other <= SAME
