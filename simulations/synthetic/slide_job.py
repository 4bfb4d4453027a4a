"""A slide that is still to be drawn, with everything that a worker needs for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from simulations.synthetic.annotation import write_lesion
from simulations.synthetic.aperio import write_aperio
from simulations.synthetic.looks import Look
from simulations.synthetic.nuclei import Morphology
from simulations.synthetic.slides import SIZE, render_slide
from simulations.synthetic.streams import Purpose, stream

__all__ = ["AnnotatedSlideJob", "SlideOwner"]

MPP = 0.5
POWER = 20


class SlideOwner(Protocol):
    """What a slide shows of a patient."""

    @property
    def hospital(self) -> str:
        """Code of the hospital."""

    @property
    def index(self) -> int:
        """Number of the patient within the hospital."""

    @property
    def morphology(self) -> Morphology:
        """What a pathologist would see."""


@dataclass(frozen=True)
class AnnotatedSlideJob:
    """One slide of `size` px at 0.5 um, and the outline of its lesion as GeoJSON beside it."""

    path: Path
    patient: SlideOwner
    look: Look
    seed: int
    size: int = SIZE

    def write(self, path: Path) -> None:
        """Draw the slide; the annotation is written first, so that an existing slide says both are done."""
        seeds = stream(self.seed, Purpose.SLIDE, self.patient.hospital, self.patient.index)
        slide = render_slide(self.patient.morphology, self.look, seeds, self.size)
        write_lesion(self.path.with_suffix(".geojson"), slide.lesion)
        write_aperio(path, slide.pixels, mpp=MPP, power=POWER, jpeg_quality=self.look.jpeg_quality)
