"""Pictures of what a model looked at on the slides of a few patients."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray
from PIL import Image

from client.prepare.slides.overview import read_overview
from client.prepare.slides.slide import WholeSlide, open_slide
from client.prepare.slides.tiling import TileGrid, read_tile
from shared.errors import SlideError
from simulations.attention.lesions import drawn_lesion
from simulations.attention.patients import AttendedPatient, SeenTiles

__all__ = ["Pictures", "ShownPatient", "ShownTile", "draw_pictures", "patients_to_show"]

log = structlog.get_logger()
PATIENTS = 6
TILES = 4  # of the most attention, and as many of the least
OVERVIEW = 400  # px, the longer side of a slide's picture
TILE = 112  # px of a tile's picture, at most
QUALITY = 78  # of JPEG


@dataclass(frozen=True, eq=False)
class ShownTile:
    """A tile as JPEG, and its weight over the mean weight of the patient's tiles."""

    jpeg: bytes
    times: float


@dataclass(frozen=True, eq=False)
class ShownPatient:
    """One patient's slide; that with the most attention where there are several."""

    site: str
    kind: int  # as AttendedPatient.kind
    scores: NDArray[np.float64]
    jpeg: bytes  # the whole slide
    size: tuple[int, int]  # its width and height in level-0 px
    corners: NDArray[np.int64]  # (n, 2) of the tiles that the model saw, in level-0 px
    side: float  # of a tile in level-0 px
    times: NDArray[np.float64]  # (n,) each weight over the mean weight of the patient's tiles
    prototypes: NDArray[np.int64] | None  # (n,) the one each tile belongs to most, -1 = none
    lesion: NDArray[np.float64] | None  # (vertices, 2) in level-0 px, drawn on a synthetic slide
    most: tuple[ShownTile, ...]  # the tiles of the most attention, the first the highest
    least: tuple[ShownTile, ...]  # the least, the last the lowest


@dataclass(frozen=True)
class Pictures:
    """What a report shows beside its figures."""

    patients: tuple[ShownPatient, ...]
    generated: bool  # slides drawn by mmfed, of nobody


def patients_to_show(patients: Sequence[AttendedPatient], kinds: int) -> list[AttendedPatient]:
    """At most six patients with a slide that can be read, class by class those that are best recognised.

    With one kind (survival): those of the highest and of the lowest predicted risk.
    """
    able = [patient for patient in patients if _slide(patient) is not None]
    if kinds == 1:
        ordered = sorted(able, key=lambda patient: float(patient.scores.sum()))
        half = PATIENTS // 2
        return ordered if len(ordered) <= PATIENTS else ordered[:half] + ordered[-half:]
    each = max(1, PATIENTS // kinds)
    chosen = []
    for kind in range(kinds):
        own = [patient for patient in able if patient.kind == kind]
        chosen += sorted(own, key=lambda patient: -float(patient.scores[patient.kind]))[:each]
    return chosen[:PATIENTS]


def draw_pictures(patients: Sequence[AttendedPatient], generated: bool) -> Pictures | None:
    """The pictures of `patients`; one whose slide cannot be read any more is left out. None when nobody is left."""
    shown = []
    for patient in patients:
        tiles = _slide(patient)
        if tiles is None or tiles.file is None:
            continue
        try:
            with open_slide(tiles.file) as slide:
                shown.append(_draw(slide, tiles, tiles.file, patient, generated))
        except SlideError as exc:
            log.warning("a slide is not shown", reason=str(exc))
    return Pictures(tuple(shown), generated) if shown else None


def _slide(patient: AttendedPatient) -> SeenTiles | None:
    """The slide with the most attention among those that can be drawn."""
    able = [slide for slide in patient.slides if slide.file is not None and slide.side and len(slide.rows) > 1]
    return max(able, key=lambda slide: float(patient.tiles[slide.rows].sum()), default=None)


def _draw(slide: WholeSlide, tiles: SeenTiles, file: Path, patient: AttendedPatient, generated: bool) -> ShownPatient:
    width, height = slide.dimensions
    overview = Image.fromarray(read_overview(slide, max(width, height) / OVERVIEW).pixels)
    overview.thumbnail((OVERVIEW, OVERVIEW))
    times = patient.tiles[tiles.rows] / max(float(patient.tiles.mean()), np.finfo(float).tiny)
    order, count = np.argsort(-times, kind="stable"), min(TILES, len(times) // 2)
    belongs = None if patient.prototypes is None else patient.prototypes[:, tiles.rows]
    pixels = min(TILE, int(tiles.side))
    grid = TileGrid.of(slide, tiles.mpp, tile=pixels, mpp=tiles.mpp * tiles.side / pixels)
    shown = {
        int(i): ShownTile(_jpeg(Image.fromarray(read_tile(slide, grid, _corner(tiles, int(i))))), float(times[i]))
        for i in (*order[:count], *order[len(order) - count :])
    }
    return ShownPatient(
        site=patient.site,
        kind=patient.kind,
        scores=patient.scores,
        jpeg=_jpeg(overview),
        size=(width, height),
        corners=tiles.corners,
        side=tiles.side,
        times=times,
        prototypes=None if belongs is None else np.where(belongs.max(axis=0) > 0, belongs.argmax(axis=0), -1),
        lesion=drawn_lesion(file) if generated else None,
        most=tuple(shown[int(i)] for i in order[:count]),
        least=tuple(shown[int(i)] for i in order[len(order) - count :]),
    )


def _corner(tiles: SeenTiles, i: int) -> tuple[int, int]:
    x, y = tiles.corners[i]
    return int(x), int(y)


def _jpeg(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
