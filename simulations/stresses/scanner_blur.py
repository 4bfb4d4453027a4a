"""Stress: scanners out of focus at every second hospital, in real slide files."""

import math
from dataclasses import replace
from pathlib import Path

from shared.study import Study
from simulations.stresses.curve import Base, Curve, Dosed, Line
from simulations.stresses.dosed_folders import dosed_hospitals
from simulations.stresses.slide_looks import cohort_of, draw_again, look_of, no_drawn_slides

__all__ = ["BLUR"]


def _apply(base: Base, line: Line, dose: float) -> Dosed:
    seed, hospitals = cohort_of(base.cohort)
    there = sorted(h.id for h in base.hospitals if hospitals[h.id].slides)
    trained = [code for code in there if code in base.fold.training]
    strangers = [code for code in there if code not in base.fold.training]
    looks = {}
    for code in trained[1::2] + strangers[1::2]:
        look = look_of(seed, code)
        looks[code] = replace(look, blur_px=round(math.hypot(look.blur_px, dose), 6))
    links = draw_again(base, looks)
    return Dosed(dosed_hospitals(base, "blur", [dose], {code: {"slides": link} for code, link in links.items()}))


def _lines(study: Study) -> tuple[Line, ...]:
    return (
        Line("checked", "blurred tiles left out", ("modalities.slides.quality=true",)),
        Line("unchecked", "no quality control", ("modalities.slides.quality=false",)),
    )


def _fault(study: Study, cohort: Path) -> str:
    return no_drawn_slides("blur", study.modalities.names, cohort)


BLUR = Curve(
    name="blur",
    title="Scanner blur",
    axis="added blur at every second hospital, SD in px of 0.5 um",
    doses=(0, 1, 2),
    highest=8,
    lines=_lines,
    apply=_apply,
    fault=_fault,
    says="The scanner of every second hospital, trained or unseen, spreads a point wider. Slides are drawn again as "
    "Aperio files; `prepare` looks at their focus where quality control is on.",
)
