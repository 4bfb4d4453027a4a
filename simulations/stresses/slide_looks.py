"""Slides of the synthetic cohort drawn again with other looks: the same patients and tissue, real Aperio files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from shared.digests import sha256_json
from simulations.stresses.curve import Base
from simulations.synthetic.biology import draw_patients
from simulations.synthetic.cohort import cohort_folder, read_marker, write_cohort
from simulations.synthetic.glioma import GLIOMA
from simulations.synthetic.hospitals import Hospital
from simulations.synthetic.looks import Look, draw_look
from simulations.synthetic.slide_job import AnnotatedSlideJob
from simulations.synthetic.streams import Purpose, stream
from simulations.synthetic.tables import slide_id

__all__ = ["cohort_of", "draw_again", "look_of", "no_drawn_slides"]


def no_drawn_slides(name: str, modalities: Sequence[str], cohort: Path) -> str:
    """Why the slides of a cohort cannot be drawn again, in a sentence; "" when they can."""
    marker = read_marker(cohort)
    if "slides" not in modalities:
        return f"{name}: expected a study with slides, got {', '.join(modalities)}; leave the curve out"
    if marker is None or marker["kind"] != GLIOMA.name:
        got = "another cohort" if marker is None else f"the synthetic cohort {marker['kind']!r}"
        return f"{name}: expected the synthetic glioma cohort, whose slides can be drawn again, got {got}; leave it out"
    return ""


def cohort_of(folder: Path) -> tuple[int, dict[str, Hospital]]:
    """The seed of a synthetic glioma cohort, and its hospitals by code."""
    marker = read_marker(folder)
    assert marker is not None
    hospitals = [Hospital(**{**facts, "grade_mix": tuple(facts["grade_mix"])}) for facts in marker["hospitals"]]
    return marker["seed"], {hospital.code: hospital for hospital in hospitals}


def look_of(seed: int, code: str, spread: float = 1.0) -> Look:
    """The look that the cohort of a seed gives a hospital, its stains `spread` times as far from the mean."""
    return draw_look(stream(seed, Purpose.LOOK, code), spread)


def draw_again(base: Base, looks: Mapping[str, Look]) -> dict[str, Callable[[Path], None]]:
    """Draw the slides of the hospitals of `looks` and keep them in the cache: hospital -> what links its slides."""
    seed, hospitals = cohort_of(base.cohort)
    chosen = [hospitals[code] for code in sorted(looks)]
    name = f"looks-{sha256_json([[code, asdict(look)] for code, look in sorted(looks.items())])[:12]}"
    kind = replace(GLIOMA, name=name, cohort=name, modalities=("slides",), begin=partial(_begin, looks=dict(looks)))
    folder = cohort_folder(base.cache, kind, seed, chosen)
    write_cohort(
        folder,
        kind=kind,
        seed=seed,
        workers=base.workers,
        hospitals=chosen,
        progress=lambda done, total: base.progress("drawing slides", done, total),
    )
    return {code: partial(_link, drawn=folder / "slides", code=code) for code in looks}


def _begin(
    folder: Path, hospitals: Sequence[Hospital], seed: int, *, looks: dict[str, Look]
) -> list[AnnotatedSlideJob]:
    (folder / "slides").mkdir(exist_ok=True)
    return [
        AnnotatedSlideJob(folder / "slides" / f"{slide_id(patient)}.svs", patient, looks[patient.hospital], seed)
        for hospital in hospitals
        for patient in draw_patients(hospital, seed)
        if patient.has_slide
    ]


def _link(folder: Path, *, drawn: Path, code: str) -> None:
    folder.mkdir()
    for slide in sorted(drawn.glob(f"TCGA-{code}-*.svs")):
        (folder / slide.name).symlink_to(slide.resolve())
