"""One call for every slide that OpenSlide 4 opens, whoever made the scanner.

Tested here: Aperio SVS, generic TIFF and BigTIFF pyramids, TIFF of one level, DICOM whole-slide series. Hamamatsu
NDPI, VMS and VMU, Mirax MRXS, Leica SCN, Philips TIFF, Ventana BIF, Trestle and Zeiss CZI go through the same call and
are untested here, for want of files that may be shared.

A slide is one file, but for two: an .mrxs lies beside the folder of its name, and a DICOM series is a folder with the
.dcm files of that one series (or any one of them; OpenSlide then finds the rest beside it). `parts.py` lists the
files of a slide.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import openslide
from numpy.typing import NDArray
from PIL import Image

from client.prepare.slides.dicom_frames import check_frames
from client.prepare.slides.faults import why_unreadable
from client.prepare.slides.jpeg_tiles import JpegTiles
from client.prepare.slides.parts import dicom_files, entry_file
from client.prepare.slides.tiff_levels import JpegLevel, jpeg_levels
from shared.errors import SlideError

__all__ = ["WholeSlide", "open_slide"]

Pixels = NDArray[np.uint8]  # (height, width, 3)

COMPARED = 2
"""Tiles of each level that are held against OpenSlide's when a slide is opened: those with the most bytes."""


LARGEST_TILE = 2**26
"""Pixels of one stored tile, 256 MiB: scanners' tiles have 2**20 at most, and OpenSlide decodes a tile whole."""


class WholeSlide:
    """An open slide: regions as RGB, the same pixels as OpenSlide's, decoded directly where that is possible.

    Levels are numbered from the finest, 0. A context manager; safe to read from several threads, not to close while
    one reads. Memory is bounded by a constant whatever the slide's size.
    """

    def __init__(self, path: Path, slide: openslide.OpenSlide, jpeg: JpegTiles | None) -> None:
        self.path = path
        self._slide = slide
        self._jpeg = jpeg
        self._downsamples = tuple(slide.level_downsamples)  # asked for with every read
        stated = slide.properties  # lists what is no text as well, but does not give it
        self._properties = {name: value for name in stated if (value := stated.get(name)) is not None}

    @property
    def dimensions(self) -> tuple[int, int]:
        """Width and height of level 0."""
        width, height = self._slide.dimensions
        return width, height

    @property
    def level_dimensions(self) -> Sequence[tuple[int, int]]:
        """Width and height of each level."""
        return tuple(self._slide.level_dimensions)

    @property
    def level_downsamples(self) -> Sequence[float]:
        """Level-0 pixels a side of one pixel of each level."""
        return self._downsamples

    @property
    def properties(self) -> Mapping[str, str]:
        """What the file says of itself, under OpenSlide's names."""
        return self._properties

    @property
    def direct_levels(self) -> tuple[int, ...]:
        """The levels whose JPEG tiles are decoded directly; the others are read through OpenSlide."""
        return () if self._jpeg is None else tuple(sorted(self._jpeg.levels))

    def best_level(self, downsample: float) -> int:
        """The coarsest level that is at least as fine as `downsample`; 0 if none is."""
        return max((level for level, factor in enumerate(self.level_downsamples) if factor <= downsample), default=0)

    def read(self, corner: tuple[int, int], level: int, size: tuple[int, int]) -> Pixels:
        """A region of a level as (height, width, 3) RGB, white where nothing was recorded and beyond the border.

        `corner` (x, y) is in level-0 pixels, `size` (width, height) in those of the level.

        Raises
        ------
        SlideError
            The file is damaged there.
        """
        pixels = self._read_directly(corner, level, size)
        return self.read_reference(corner, level, size) if pixels is None else pixels

    def read_reference(self, corner: tuple[int, int], level: int, size: tuple[int, int]) -> Pixels:
        """The same through OpenSlide: what every other way is held against.

        Raises
        ------
        SlideError
            The file is damaged there, or was anywhere before: OpenSlide reads nothing more after its first error.
        """
        try:
            region = self._slide.read_region(corner, level, size)
        except openslide.OpenSlideError as exc:
            said = _without_paths(str(exc), self.path.parent)
            raise SlideError(f"expected a whole slide, got a damaged one ({said}); copy it again") from exc
        picture = Image.new("RGB", region.size, (255, 255, 255))
        picture.paste(region, mask=region.getchannel("A"))
        return np.array(picture)

    def _read_directly(self, corner: tuple[int, int], level: int, size: tuple[int, int]) -> Pixels | None:
        if self._jpeg is None or level not in self._jpeg.levels:
            return None
        factor = int(self._downsamples[level])
        (x, left), (y, top) = (divmod(at, factor) for at in corner)
        if left or top:  # between two pixels OpenSlide interpolates, so that is left to it
            return None
        try:
            return self._jpeg.read(level, (x, y), size)
        except OSError as exc:
            raise SlideError(_why_no_access(exc)) from exc

    def close(self) -> None:
        """Close the file."""
        self._slide.close()
        if self._jpeg is not None:
            self._jpeg.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_slide(path: Path) -> WholeSlide:
    """Open a slide: a file, or the folder of a DICOM series.

    Raises
    ------
    SlideError
        It is missing, empty, cut short, damaged, encrypted, or no slide; the message says which.
    """
    try:
        file = entry_file(path)
        slide = _open(file)
        try:
            whole = WholeSlide(path, slide, None)
            _check_tiles(whole)
            vendor = whole.properties[openslide.PROPERTY_NAME_VENDOR]
            for part in dicom_files(file) if vendor == "dicom" else ():
                check_frames(part)
            levels = jpeg_levels(file, vendor, whole.level_dimensions)
            whole._jpeg = _checked(whole, file, levels)
        except BaseException:
            slide.close()
            raise
    except OSError as exc:
        raise SlideError(_why_no_access(exc)) from exc
    return whole


def _open(file: Path) -> openslide.OpenSlide:
    try:
        return openslide.OpenSlide(file)
    except openslide.OpenSlideUnsupportedFormatError as exc:
        raise SlideError(why_unreadable(file)) from exc
    except openslide.OpenSlideError as exc:
        raise SlideError(why_unreadable(file, _without_paths(str(exc), file.parent))) from exc


def _check_tiles(slide: WholeSlide) -> None:
    """Refuse tiles beyond any memory, which a damaged header claims: OpenSlide ends the process over them."""
    for level in range(len(slide.level_dimensions)):
        sides = [slide.properties.get(f"openslide.level[{level}].tile-{side}", "1") for side in ("width", "height")]
        if int(sides[0]) * int(sides[1]) > LARGEST_TILE:
            raise SlideError(
                f"expected tiles of at most {LARGEST_TILE} px, got {' x '.join(sides)}; copy the slide again, or "
                "export it as a pyramid of smaller tiles"
            )


def _without_paths(message: str, folder: Path) -> str:
    """What OpenSlide says, without the names of files."""
    return re.sub(re.escape(str(folder)) + r"[^:,;]*", "the file", message)


def _why_no_access(exc: OSError) -> str:
    return f"expected a slide that can be read, got {exc.strerror or type(exc).__name__}; check the disk and its rights"


def _checked(slide: WholeSlide, file: Path, levels: Mapping[int, JpegLevel]) -> JpegTiles | None:
    """A direct reader of those levels whose most detailed tiles it reads exactly as OpenSlide does."""
    whole = {n: level for n, level in levels.items() if float(slide.level_downsamples[n]).is_integer()}
    if not whole:
        return None
    jpeg = JpegTiles(file, whole)
    try:
        jpeg.levels = {n: level for n, level in whole.items() if _is_equal(slide, jpeg, n)}
    except SlideError:
        jpeg.close()
        raise
    return jpeg


def _is_equal(slide: WholeSlide, jpeg: JpegTiles, number: int) -> bool:
    level, factor = jpeg.levels[number], int(slide.level_downsamples[number])
    for position in np.argsort(level.counts, axis=None, kind="stable")[-COMPARED:]:
        row, column = divmod(int(position), level.counts.shape[1])
        x, y = column * level.tile[0], row * level.tile[1]
        reference = slide.read_reference((x * factor, y * factor), number, level.tile)
        direct = jpeg.read(number, (x, y), level.tile)
        if direct is None or not np.array_equal(direct, reference):
            return False
    return True
