"""From a slide file to its bag of patch features, tile by tile, so that no slide is too large for the memory."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.prepare.encoders import Encoder
from client.prepare.slides.finished import identity, thumbnail_of
from client.prepare.slides.pipeline import Crew, in_batches
from client.prepare.slides.quality import Findings, inspect, is_blurred
from client.prepare.slides.resolution import slide_mpp
from client.prepare.slides.slide import WholeSlide, open_slide
from client.prepare.slides.stain import fit_stain
from client.prepare.slides.thumbnail import draw_thumbnail
from client.prepare.slides.tiling import TileGrid, read_tile
from shared.cohort.bag_files import Attribute, BagDraft, drafting_bag, read_bag_coords
from shared.cohort.drafts import replacing
from shared.cohort.spread import spread
from shared.errors import SlideError
from shared.study import Slides

__all__ = ["draw_again", "encode_slide", "first_batch"]

Tile = NDArray[np.uint8]  # (tile, tile, 3)
Corner = tuple[int, int]  # x, y at level 0

NO_TILE_USABLE = "no tile is free of artifacts, so all tissue was kept"
ALL_BLURRED = "every tile is blurred, so all were kept"


@dataclass(frozen=True)
class Plan:
    """What of an open slide will be read, and how."""

    slide: WholeSlide
    mpp: float  # um per px of level 0
    grid: TileGrid
    corners: NDArray[np.int64]  # (N, 2), x and y at level 0, in the order of the bag
    findings: Findings
    warning: str
    normalise: Callable[[Tile], Tile]
    settings: Slides

    def read(self, corner: Corner) -> Tile | None:
        """The tile at `corner`; None if it is blurred and quality matters."""
        tile = self._read(corner)
        blurred = self.settings.quality and is_blurred(tile, self.settings.mpp)
        return None if blurred else self.normalise(tile)

    def read_any(self, corner: Corner) -> Tile:
        """The tile at `corner`, blurred or not."""
        return self.normalise(self._read(corner))

    def _read(self, corner: Corner) -> Tile:
        with _readable():
            return read_tile(self.slide, self.grid, corner)


def encode_slide(
    source: Path,
    target: Path,
    slide_sha256: str,
    written_mpp: float | None,
    settings: Slides,
    encoder: Encoder,
    crew: Crew,
) -> None:
    """Tile, filter and encode one slide; writes its thumbnail, then its bag.

    Parameters
    ----------
    source
        The slide.
    target
        Its slide file in the store.
    slide_sha256
        Of `source`, for the attributes.
    written_mpp
        Um per px of level 0 as slides.tsv says, used where the slide does not say itself.
    settings, encoder
        What the study wants; its encoder.
    crew
        The threads that do it.

    Raises
    ------
    SlideError
        The slide cannot be read, does not state its resolution, or has no tissue.
    OSError
        The store cannot be written.
    CancelledError
        The crew was stopped.
    """
    with open_slide(source) as slide:
        plan = _plan(slide, written_mpp, settings)
        with drafting_bag(target, encoder.dim, len(plan.corners)) as bag:
            blurred = _fill(bag, plan, plan.read, encoder, crew)
            warning = plan.warning
            if len(bag) == 0:
                warning = "; ".join(filter(None, (warning, ALL_BLURRED)))
                _fill(bag, plan, plan.read_any, encoder, crew)
            described = _description(plan, blurred / len(plan.corners), warning, encoder)
            bag.describe({**identity(settings, encoder, slide_sha256, written_mpp), **described})
            _draw(plan, bag.coords, target)


def first_batch(source: Path, written_mpp: float | None, settings: Slides, count: int, crew: Crew) -> Tile:
    """The first `count` tiles (n, tile, tile, 3) that would be encoded, or as many as there are.

    Raises as `encode_slide`.
    """
    with open_slide(source) as slide:
        plan = _plan(slide, written_mpp, settings)
        sharp = (tile for tile in crew.read(plan.read, _corners(plan), count) if tile is not None)
        tiles = next(in_batches(sharp, count), None)
        return np.stack(tiles or next(in_batches(crew.read(plan.read_any, _corners(plan), count), count)))


def draw_again(source: Path, target: Path, written_mpp: float | None, settings: Slides) -> None:
    """Draw the thumbnail of a slide whose bag is there already; raises as `encode_slide`."""
    with open_slide(source) as slide:
        _draw(_plan(slide, written_mpp, settings), read_bag_coords(target), target)


def _plan(slide: WholeSlide, written_mpp: float | None, settings: Slides) -> Plan:
    """Look at a slide as a whole. SlideError if it has not a single tile with tissue."""
    mpp = slide_mpp(slide, written_mpp)
    grid = TileGrid.of(slide, mpp, tile=settings.tile, mpp=settings.mpp)
    with _readable():
        findings = inspect(slide, mpp, settings.quality)
    corners, warning = grid.tissue_tiles(slide, findings.usable), findings.warning
    if len(corners) == 0 and settings.quality:
        corners = grid.tissue_tiles(slide, findings.tissue)
        warning = "; ".join(filter(None, (warning, NO_TILE_USABLE)))
    if len(corners) == 0:
        width, height = (round(side * mpp) for side in slide.dimensions)
        raise SlideError(
            f"expected a tile of {settings.tile * settings.mpp:g} um with tissue, got none on {width} x {height} um; "
            "look at the slide, or ask for smaller tiles"
        )
    corners = corners[spread(len(corners), settings.max_patches)]
    with _readable():
        normalise = fit_stain(settings.stain, slide, findings)
    return Plan(slide, mpp, grid, corners, findings, warning, normalise, settings)


def _fill(bag: BagDraft, plan: Plan, read: Callable[[Corner], Tile | None], encoder: Encoder, crew: Crew) -> int:
    """Append the features of every tile that `read` accepts, in order; returns how many it refused."""
    accepted: list[NDArray[np.int64]] = []  # corners of tiles that are read and not yet written
    refused = 0

    def tiles() -> Iterator[Tile]:
        nonlocal refused
        ahead = 2 * encoder.batch
        for corner, tile in zip(plan.corners, crew.read(read, _corners(plan), ahead), strict=True):
            if tile is None:
                refused += 1
            else:
                accepted.append(corner)
                yield tile

    batches: Iterable[Tile] = map(np.stack, in_batches(tiles(), encoder.batch))
    for features in crew.encode(encoder.encode, batches):
        bag.append(features, np.stack(accepted[: len(features)]))
        del accepted[: len(features)]
    return refused


def _corners(plan: Plan) -> Iterator[Corner]:
    return ((int(x), int(y)) for x, y in plan.corners)


def _description(plan: Plan, blurred: float, warning: str, encoder: Encoder) -> dict[str, Attribute]:
    """What the bag says of its slide beside what it was asked for."""
    return {
        "slide_mpp": plan.mpp,
        "level": plan.grid.level,
        **plan.findings.fractions,
        "blurred": blurred,
        "warning": warning,
        **encoder.fidelity,
    }


def _draw(plan: Plan, coords: NDArray[np.int64], target: Path) -> None:
    thumbnail = thumbnail_of(target)
    picture = draw_thumbnail(plan.slide, plan.findings, coords, plan.grid.side)
    thumbnail.parent.mkdir(parents=True, exist_ok=True)
    with replacing(thumbnail) as draft:
        draft.write_bytes(picture)


@contextmanager
def _readable() -> Iterator[None]:
    """A disk that fails to give a slide's bytes costs that slide alone."""
    try:
        yield
    except OSError as exc:
        raise SlideError(f"expected a slide that can be read, got {exc.strerror or exc}; copy it again") from exc
