"""Slide features that another tool made: HDF5 files of CLAM and TRIDENT, or of mmfed itself.

CLAM writes `features` (N, d) and `coords` (N, 2) and says nothing about them. TRIDENT adds attributes to `coords`:
patch_size (px the encoder saw), target_magnification (10 um per px over it), patch_size_level0 and overlap. mmfed
writes attributes of the file (CONTRACT.md section 4). What a file says must agree with the study; what it does not say
is taken from the study, and the bag says so ("geometry").
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from shared.cohort.bag_files import Attribute
from shared.cohort.spread import spread
from shared.errors import SlideError
from shared.site import ImportedFeatures
from shared.study import Slides

__all__ = ["ImportedBag", "imported_bag"]

MOST = 10_000_000  # patches of a slide; more is damage
SLAB = 4096  # rows read at once, which bounds the memory
PRECISIONS = {"f2": "fp16", "f4": "fp32", "f8": "fp64"}
CLOSE = 0.10  # by how much a stated resolution may differ: nominal 20x is .5 um, scanners give .46 to .51
ADVICE = "make the features again as the study says, or let mmfed make them from the slide"


class ImportedBag(NamedTuple):
    """One slide as another tool left it, at most `max_patches` patches in the order of rows, then columns."""

    features: NDArray[np.float32]  # (N, d)
    coords: NDArray[np.int64]  # (N, 2) = x, y at level 0
    attributes: dict[str, Attribute]  # those of CONTRACT.md section 4, but for slide_sha256


def imported_bag(path: Path, settings: Slides, features: ImportedFeatures) -> ImportedBag:
    """Read features made elsewhere; `features` is what the site file says of them.

    Raises
    ------
    SlideError
        The file is no whole HDF5 file, lacks a part, holds something else than numbers, or was made by another
        encoder, at another resolution or with other stains than the study asks for.
    """
    _check_encoder(settings, features)
    try:
        with h5py.File(path, "r") as file:
            return _read(file, settings, features)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as exc:  # what h5py makes of damaged bytes
        if not path.stat().st_size:
            raise SlideError("expected an HDF5 file of features, got an empty file; copy it again") from exc
        raise SlideError(
            "expected a whole HDF5 file of features, got a damaged, unfinished or other file; copy or make it again"
        ) from exc


def _check_encoder(settings: Slides, features: ImportedFeatures) -> None:
    if settings.weights == "random":
        raise SlideError(
            "expected a study with pretrained weights, got random ones, which no other tool has; "
            "remove [features] from the site file"
        )
    if features.encoder != settings.encoder:
        raise SlideError(
            f"expected features of {settings.encoder}, as the study says, got {features.encoder!r} in [features] of "
            f"the site file; {ADVICE}"
        )
    if settings.encoder_sha256 and features.encoder_sha256 != settings.encoder_sha256:
        raise SlideError(
            f"expected weights with SHA-256 {settings.encoder_sha256[:12]}..., as the study says, got "
            f"{features.encoder_sha256[:12]}... in [features] of the site file; {ADVICE}"
        )


def _read(file: h5py.File, settings: Slides, said: ImportedFeatures) -> ImportedBag:
    features, coords = _dataset(file, "features", settings.dim), _dataset(file, "coords", 2)
    rows = _rows(features)
    if not 0 < rows <= MOST or rows != _rows(coords):
        raise SlideError(
            f"expected as many features as coordinates, at least one, got {rows} and {_rows(coords)}; "
            "the tool was interrupted or found nothing, so make the file again"
        )
    places = np.asarray(coords[0] if coords.ndim == 3 else coords[:])
    if not np.isfinite(places).all() or places.min() < 0 or places.max() >= 2**31 or (places % 1).any():
        raise SlideError("expected coords in whole level-0 pixels from 0, got others; make the file again")
    places = places.astype(np.int64)
    order = np.lexsort((places[:, 0], places[:, 1]))
    chosen = order[spread(rows, settings.max_patches)]
    stated = _stated(file, coords.attrs)
    _check_stated(stated, settings, said)
    attributes: dict[str, Attribute] = {
        "schema": 1,
        "encoder": settings.encoder,
        "encoder_sha256": said.encoder_sha256,
        "dim": settings.dim,
        "mpp": float(stated.get("mpp", settings.mpp)),
        "tile": int(stated.get("tile", settings.tile)),
        "level": int(stated.get("level", 0)),
        "precision": PRECISIONS[features.dtype.str[1:]],
        "engine": "imported",
        "stain": settings.stain,
        "patches": len(chosen),
        "geometry": "stated" if {"mpp", "tile"} <= stated.keys() else "assumed",
    }
    return ImportedBag(_taken(features, chosen), places[chosen], attributes)


def _dataset(file: h5py.File, name: str, width: int) -> h5py.Dataset:
    """The dataset `name` (N, width) or (1, N, width) of numbers."""
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise SlideError(f"expected a dataset {name!r}, got none; choose the file with features, not that of patches")
    shape = found.shape
    kinds = PRECISIONS if name == "features" else {*PRECISIONS, *(f"{kind}{size}" for kind in "iu" for size in "1248")}
    if found.dtype.str[1:] not in kinds:
        raise SlideError(f"expected numbers in {name!r}, got {found.dtype}; make the file again")
    if shape is None or len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] != 1) or shape[-1] != width:
        raise SlideError(
            f"expected {name!r} with {width} columns, got the shape {shape}; name the encoder that made it"
        )
    return found


def _rows(dataset: h5py.Dataset) -> int:
    return int(dataset.shape[-2])


def _taken(dataset: h5py.Dataset, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """The rows `chosen`, in that order, read slab by slab."""
    taken = np.empty((len(chosen), dataset.shape[-1]), dtype=np.float32)
    for start in range(0, _rows(dataset), SLAB):
        here = np.flatnonzero((chosen >= start) & (chosen < start + SLAB))
        if len(here):
            slab = dataset[0, start : start + SLAB] if dataset.ndim == 3 else dataset[start : start + SLAB]
            taken[here] = slab[chosen[here] - start]
    if not np.isfinite(taken).all():
        raise SlideError("expected finite features, got NaN or infinity; make the file again")
    return taken


def _stated(file: h5py.File, coords: Mapping[str, object]) -> dict[str, Attribute]:
    """What the file says of itself in the words of CONTRACT.md section 4."""
    own = ("encoder", "encoder_sha256", "mpp", "tile", "level", "stain")
    stated = {name: _plain(file.attrs[name]) for name in own if name in file.attrs}
    size, power = (_plain(coords.get(name, 0)) for name in ("patch_size", "target_magnification"))
    if isinstance(size, int | float) and isinstance(power, int | float) and size > 0 and power > 0:
        stated |= {"tile": int(size), "mpp": 10 / power}
    return stated


def _plain(value: object) -> Attribute:
    """An attribute as a plain value; arrays of one number count as that number."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.item() if value.size == 1 else ""
    return value.decode(errors="replace") if isinstance(value, bytes) else value if isinstance(value, Attribute) else ""


def _check_stated(stated: Mapping[str, Attribute], settings: Slides, said: ImportedFeatures) -> None:
    """SlideError where the file contradicts the study or the site file."""
    mpp = stated.get("mpp", settings.mpp)
    if not isinstance(mpp, int | float) or abs(mpp / settings.mpp - 1) > CLOSE:
        raise SlideError(f"expected patches of {settings.mpp:g} um per px, got {mpp}; {ADVICE}")
    wanted = {
        "tile": settings.tile,
        "encoder": settings.encoder,
        "encoder_sha256": said.encoder_sha256,
        "stain": settings.stain,
    }
    for name, value in wanted.items():
        got = stated.get(name, "none" if name == "stain" else value)
        if got != value:
            raise SlideError(f"expected {name} {value!r}, as the study or the site file says, got {got!r}; {ADVICE}")
