"""imaging.csv: which clinical images a site has, whose each is, and the lesions a person marked on it.

Columns: case_id, image_id, modality (a word for the kind of image, such as XR), and optionally x0, y0, x1, y1: one box
in px of the image, x to the right and y down from its upper left corner. An image with several boxes has several rows;
one without stands in one row with empty cells. Further columns, such as a label, are the hospital's own and not read.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from shared.cohort.folders import content, is_file
from shared.cohort.sheets import find_file, read_sheet, refuse, require_columns

__all__ = ["IMAGE_SUFFIXES", "Box", "ListedImage", "read_imaging", "unlisted_images"]

IMAGE_SUFFIXES = (".dcm", ".png", ".jpg", ".jpeg")
"""What an image file may end with; where several fit, the first."""

IMAGE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
CORNERS = ("x0", "y0", "x1", "y1")

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in px of the image; x0 < x1 and y0 < y1."""


@dataclass(frozen=True)
class ListedImage:
    """One image of imaging.csv."""

    case_id: str
    image_id: str  # without suffix
    modality: str
    path: Path | None  # None: no such file
    boxes: tuple[Box, ...]  # in the order of the rows
    fault: str  # what is wrong with its rows, "" when nothing is


def read_imaging(folder: Path) -> list[ListedImage] | None:
    """Read imaging.csv, sorted by case_id and image_id; None if the folder has no such file.

    A file is looked for as imaging/<image_id>[.dcm|.png|.jpg|.jpeg], capitals of the suffix do not count. A box that
    is none costs its image alone, as `fault` says, and so does an image given to two patients (it is listed once for
    each) or called two kinds; whether a box lies inside the image is checked where the image is opened.

    Raises
    ------
    CohortError
        A column is missing, an id is malformed, or the folder cannot be read.
    """
    path = find_file(folder, "imaging.csv")
    if path is None:
        return None
    sheet = read_sheet(path)
    require_columns(path, sheet, ["case_id", "image_id", "modality"])
    some = [name for name in CORNERS if name in sheet.columns]
    require_columns(path, sheet, CORNERS if some else [])
    stems = sheet["image_id"].map(_without_suffix)
    refuse(path, _id_faults(stems))
    disputed, files = _owner_faults(sheet, stems), _files(folder)
    images = [
        _listed(rows, str(stem), files, disputed.get(str(stem), []))
        for (stem, _), rows in sheet.groupby([stems, sheet["case_id"]], sort=False)
    ]
    return sorted(images, key=lambda image: (image.case_id, image.image_id))


def unlisted_images(folder: Path, images: Sequence[ListedImage]) -> list[Path]:
    """The image files under imaging/ that are none of `images`, by name."""
    known = {image.path for image in images}
    found = content(folder / "imaging")
    return [path for path in found if _suffix(path.name) and path not in known and is_file(path)]


def _files(folder: Path) -> dict[str, Path]:
    """The files under imaging/ by name and by name with its suffix in small letters; an exact name goes first."""
    found = [path for path in content(folder / "imaging") if is_file(path)]
    return {_small(path.name): path for path in reversed(found)} | {path.name: path for path in found}


def _listed(rows: pd.DataFrame, stem: str, files: dict[str, Path], disputed: list[str]) -> ListedImage:
    first = rows.iloc[0]
    written = list(rows["image_id"])
    names = [*written, *map(_small, written), stem, *(stem + suffix for suffix in IMAGE_SUFFIXES)]
    boxes: list[Box] = []
    faults = list(disputed)
    for line, cells in _box_cells(rows):
        box = _box(cells)
        if box is None:
            got = ", ".join(repr(cell) if cell else "nothing" for cell in cells)
            faults.append(
                f"imaging.csv, line {line}: expected a box x0 < x1, y0 < y1 of numbers from 0, got {got}; correct it"
            )
        else:
            boxes.append(box)
    found = next((files[name] for name in names if name in files), None)
    return ListedImage(first["case_id"], stem, first["modality"], found, tuple(boxes), "; ".join(faults))


def _box_cells(rows: pd.DataFrame) -> Iterator[tuple[object, list[str]]]:
    """Line number and the four cells of every row that has anything in them."""
    if "x0" not in rows.columns:
        return
    for line, *cells in rows[list(CORNERS)].itertuples():
        if any(cells):
            yield line, [str(cell) for cell in cells]


def _box(cells: list[str]) -> Box | None:
    try:
        x0, y0, x1, y1 = (float(cell) for cell in cells)
    except ValueError:
        return None
    fits = all(math.isfinite(edge) for edge in (x0, y0, x1, y1)) and 0 <= x0 < x1 and 0 <= y0 < y1
    return (x0, y0, x1, y1) if fits else None


def _suffix(name: str) -> str:
    return next((suffix for suffix in IMAGE_SUFFIXES if name.lower().endswith(suffix)), "")


def _small(name: str) -> str:
    """A name with the suffix of an image in small letters."""
    stem = _without_suffix(name)
    return stem + name[len(stem) :].lower()


def _without_suffix(image_id: str) -> str:
    return image_id[: len(image_id) - len(_suffix(image_id))]


def _id_faults(stems: "pd.Series[str]") -> list[str]:
    return [
        f"line {line}: expected an image_id of letters, digits, '.', '_' and '-', "
        f"got {'other characters' if stem else 'nothing'}; correct it"
        for line, stem in stems.items()
        if not IMAGE_ID.fullmatch(stem)
    ]


def _owner_faults(sheet: pd.DataFrame, stems: "pd.Series[str]") -> dict[str, list[str]]:
    """Image -> its lines that give it to another patient than its first line, or call it another kind."""
    faults: dict[str, list[str]] = {}
    first: dict[str, tuple[object, str, str]] = {}
    for line, stem, case_id, modality in zip(stems.index, stems, sheet["case_id"], sheet["modality"], strict=True):
        before, owner, kind = first.setdefault(stem, (line, case_id, modality))
        for name, differs in (("case_id", case_id != owner), ("modality", modality != kind)):
            if differs:
                faults.setdefault(stem, []).append(
                    f"imaging.csv, line {line}: expected the {name} of line {before}, where the same image stands, "
                    "got another; correct one, or give one of two images another name"
                )
    return faults
