"""A synthetic glioma cohort of slides alone, whose hospitals differ in stain, if asked in scanner, and in grades."""

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


SIZE = 704  # px of a slide, about 19 tiles: enough to tell a stain, in half the time
MIXES = ((0.75, 0.15, 0.10), (0.15, 0.70, 0.15), (0.10, 0.15, 0.75))
WHITE, BLUR_PX, JPEG_QUALITY = 242.0, 0.6, 82  # of the scanner that all hospitals have


def stain_hospitals(count: int, patients: int) -> tuple[Hospital, ...]:
    """`count` hospitals of `patients` patients each, every patient with a slide.

    Each has mostly one grade, as real ones do: two in turn have the same, so that every second hospital makes a half
    with as many patients of each grade as the other. Then a model gains on its own patients by knowing the hospital.
    """
    return tuple(
        Hospital(f"H{_letter(place)}", patients, MIXES[place // 2 % len(MIXES)], missing_share=0.0)
        for place in range(count)
    )


def _letter(place: int) -> str:
    """A, B, ... Z, then 0, 1, ... 9."""
    return chr(ord("A") + place) if place < 26 else str(place - 26)


def stain_kind(spread: float, scanner: bool) -> Kind:
    """Slides only; stains of hospitals differ `spread` times as much as in the default cohort.

    With `scanner` white balance, blur and JPEG quality differ too, as there.
    """
    name = f"stain-{spread:g}{'-scanner' if scanner else ''}"
    return replace(
        GLIOMA,
        name=f"glioma-{name}",
        cohort=name,
        version=2,
        modalities=("slides", "clinical"),
        begin=partial(_begin, spread=spread, scanner=scanner),
    )


def _begin(
    folder: Path, hospitals: Sequence[Hospital], seed: int, *, spread: float, scanner: bool
) -> list[AnnotatedSlideJob]:
    (folder / "slides").mkdir(exist_ok=True)
    patients = [patient for hospital in hospitals for patient in draw_patients(hospital, seed)]
    write_rows(folder / "clinical.tsv", "\t", [("case_id", "grade"), *((p.case_id, p.grade) for p in patients)])
    write_rows(folder / "slides.tsv", "\t", [("case_id", "slide_id"), *((p.case_id, slide_id(p)) for p in patients)])
    looks = {h.code: draw_look(stream(seed, Purpose.LOOK, h.code), spread) for h in hospitals}
    if not scanner:
        white = (WHITE, WHITE, WHITE)
        looks = {
            code: replace(look, white=white, blur_px=BLUR_PX, jpeg_quality=JPEG_QUALITY) for code, look in looks.items()
        }
    return [
        AnnotatedSlideJob(folder / "slides" / f"{slide_id(p)}.svs", p, looks[p.hospital], seed, SIZE) for p in patients
    ]
