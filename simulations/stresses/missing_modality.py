"""Stress: hospitals that do not have a modality at all."""

from pathlib import Path

from shared.study import Study
from simulations.stresses.curve import Base, Curve, Dosed, Line, in_order
from simulations.stresses.dosed_folders import Change, dosed_hospitals

__all__ = ["MISSING"]

FILES = {
    "slides": ("slides.tsv", "slides", "features"),
    "expression": ("expression.tsv", "expression.tsv.gz", "mutations.tsv", "copy_number.tsv"),
    "blood": ("blood.csv",),
    "imaging": ("imaging.csv", "imaging"),
}
"""Modality -> the files and folders of a hospital that hold it."""


def _apply(base: Base, line: Line, dose: float) -> Dosed:
    hospitals = in_order(base, "missing")
    struck = hospitals[: round(dose * len(hospitals))]
    changes: dict[str, dict[str, Change]] = {
        h.id: dict.fromkeys(name for name in FILES[line.name] if (h.folder / "data" / name).exists()) for h in struck
    }
    return Dosed(dosed_hospitals(base, "missing", [line.name], changes))


def _lines(study: Study) -> tuple[Line, ...]:
    return tuple(Line(name, f"no {name}") for name in study.modalities.names if name in FILES)


def _fault(study: Study, cohort: Path) -> str:
    if len(study.modalities.names) > 1:
        return ""
    return f"missing: expected a study with two modalities or more, got {study.modalities.names[0]}; leave it out"


MISSING = Curve(
    name="missing",
    title="Missing modality",
    axis="share of training hospitals without it",
    doses=(0, 0.25, 0.5, 0.75),
    highest=1,
    lines=_lines,
    apply=_apply,
    fault=_fault,
    says="The files of one modality are taken from training hospitals, so that neither their training nor their test "
    "patients have it; hospitals that never train keep theirs. Patients left with no modality drop out.",
)
