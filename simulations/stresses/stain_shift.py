"""Stress: stains that differ more from hospital to hospital, in real slide files."""

from pathlib import Path

from shared.study import Study
from simulations.stresses.curve import Base, Curve, Dosed, Line
from simulations.stresses.dosed_folders import dosed_hospitals
from simulations.stresses.slide_looks import cohort_of, draw_again, look_of, no_drawn_slides

__all__ = ["STAIN"]


def _apply(base: Base, line: Line, dose: float) -> Dosed:
    seed, hospitals = cohort_of(base.cohort)
    there = [h.id for h in base.hospitals if hospitals[h.id].slides]
    links = draw_again(base, {code: look_of(seed, code, 1 + dose) for code in there})
    return Dosed(dosed_hospitals(base, "stain", [dose], {code: {"slides": link} for code, link in links.items()}))


def _lines(study: Study) -> tuple[Line, ...]:
    stain = 'modalities.slides.stain="{}"'
    return (
        Line("none", "stains as they are", (stain.format("none"),)),
        Line("reinhard", "normalised (Reinhard)", (stain.format("reinhard"),)),
    )


def _fault(study: Study, cohort: Path) -> str:
    return no_drawn_slides("stain", study.modalities.names, cohort)


STAIN = Curve(
    name="stain",
    title="Stain shift",
    axis="added spread of stains between hospitals (1 = as much again)",
    doses=(0, 1, 2),
    highest=4,
    lines=_lines,
    apply=_apply,
    fault=_fault,
    signature=True,
    says="Stain vectors and strengths of every hospital lie farther from their mean: spread 1 + dose times the "
    "cohort's. Slides are drawn again as Aperio files and prepared by `prepare`.",
)
