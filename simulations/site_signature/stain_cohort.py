"""A synthetic glioma cohort of slides alone, whose hospitals differ in stain and scanner but not in their patients."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from simulations.synthetic.biology import draw_patients
from simulations.synthetic.glioma import GLIOMA
from simulations.synthetic.hospitals import Hospital
from simulations.synthetic.kinds import Kind
from simulations.synthetic.looks import draw_look
from simulations.synthetic.slide_job import AnnotatedSlideJob
from simulations.synthetic.streams import Purpose, stream
from simulations.synthetic.tables import slide_id, write_rows

__all__ = ["stain_hospitals", "stain_kind"]


def stain_hospitals(count: int, patients: int) -> tuple[Hospital, ...]:
    """`count` hospitals of `patients` patients each, all with the same share of each grade, every patient with a slide.

    So nothing but the look of its slides names a hospital.
    """
    return tuple(Hospital(f"H{letter(place)}", patients, missing_share=0.0) for place in range(count))


def letter(place: int) -> str:
    """A, B, ... Z, then 0, 1, ... 9."""
    return chr(ord("A") + place) if place < 26 else str(place - 26)


def stain_kind(spread: float) -> Kind:
    """Slides only; the stains of its hospitals differ `spread` times as much as in the default cohort."""
    return replace(
        GLIOMA,
        name=f"glioma-stain-{spread:g}",
        cohort=f"stain-{spread:g}",
        version=1,
        modalities=("slides", "clinical"),
        begin=partial(_begin, spread=spread),
    )


def _begin(folder: Path, hospitals: Sequence[Hospital], seed: int, *, spread: float) -> list[AnnotatedSlideJob]:
    (folder / "slides").mkdir(exist_ok=True)
    patients = [patient for hospital in hospitals for patient in draw_patients(hospital, seed)]
    write_rows(folder / "clinical.tsv", "\t", [("case_id", "grade"), *((p.case_id, p.grade) for p in patients)])
    write_rows(folder / "slides.tsv", "\t", [("case_id", "slide_id"), *((p.case_id, slide_id(p)) for p in patients)])
    looks = {h.code: draw_look(stream(seed, Purpose.LOOK, h.code), spread) for h in hospitals}
    return [
        AnnotatedSlideJob(folder / "slides" / f"{slide_id(patient)}.svs", patient, looks[patient.hospital], seed)
        for patient in patients
    ]
