"""Which files make up one slide: mostly one, but a folder for Mirax and several for Hamamatsu VMS and DICOM."""

import re
from functools import lru_cache
from pathlib import Path

import openslide

from client.prepare.slides.dicom_frames import series_of
from shared.errors import SlideError

__all__ = ["dicom_files", "entry_file", "slide_parts"]

VMS_ENTRY = re.compile(r"^(?:ImageFile|MapFile|OptimisationFile|MacroImage)[^=]*=\s*(.+?)\s*$", re.MULTILINE)
"""Lines of a .vms or .vmu file that name another file beside it."""


def entry_file(path: Path) -> Path:
    """The file to give to OpenSlide: `path`, or the first file of the one DICOM whole-slide series in that folder.

    Raises
    ------
    SlideError
        There is no such file, or the folder does not hold exactly one whole-slide series.
    """
    if not path.exists():
        raise SlideError("expected a slide, got no such file; copy it there, or take it out of slides.tsv")
    if not path.is_dir():
        return path
    series: dict[str, Path] = {}
    for file in _files(path):
        uid = _series(file)
        if uid and openslide.OpenSlide.detect_format(file) == "dicom":
            series.setdefault(uid, file)
    if len(series) != 1:
        raise SlideError(
            f"expected a folder with the files of one DICOM whole-slide series, got {len(series)} series; "
            "put each series into its own folder"
        )
    return next(iter(series.values()))


def slide_parts(path: Path) -> tuple[Path, ...]:
    """Every file whose bytes belong to the slide `path`, in order of name: what its fingerprint must cover."""
    if path.is_dir():
        return tuple(_files(path))
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        return path, *_files(path.with_suffix(""))
    if suffix in (".vms", ".vmu"):
        named = (path.parent / name for name in VMS_ENTRY.findall(path.read_text(encoding="latin-1")))
        return path, *sorted({file for file in named if file.is_file()})
    if suffix == ".dcm":
        return dicom_files(path)
    return (path,)


def dicom_files(file: Path) -> tuple[Path, ...]:
    """A DICOM file and those beside it, with its suffix, that belong to the same whole-slide series."""
    uid, beside = _series(file), (other for other in _files(file.parent) if other.suffix == file.suffix)
    return tuple(other for other in beside if other == file or (uid and _series(other) == uid))


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []


def _series(file: Path) -> str:
    """The series of a DICOM whole-slide file; "" for any other file."""
    state = file.stat()
    return _read_series(file, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=10_000)  # a folder of loose files asks for each of them once for every other
def _read_series(file: Path, size: int, changed: int) -> str:
    return series_of(file)
