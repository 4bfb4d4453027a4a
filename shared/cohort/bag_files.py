"""One slide's features as a file: datasets that CLAM and TRIDENT write, attributes of CONTRACT.md section 4.

Written piece by piece under a temporary name, synced, renamed; no times inside, and a checksum in every chunk.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from shared.cohort.hdf5_draft import writing_hdf5

__all__ = [
    "Attribute",
    "BagDraft",
    "bag_is_whole",
    "drafting_bag",
    "read_bag",
    "read_bag_attributes",
    "read_bag_coords",
    "write_bag",
]

Attribute = str | int | float

CHUNK = 64
"""Rows of a chunk, at most: what one piece of the file and of the memory holds."""


class BagDraft:
    """A slide file in the making. Rows are appended in the order in which they will stand."""

    def __init__(self, file: h5py.File, check: Callable[[], None], dim: int, most: int) -> None:
        rows = max(1, min(CHUNK, most))
        self._file, self._check = file, check
        self._features = _growing(file, "features", np.float32, dim, rows)
        self._coords = _growing(file, "coords", np.int64, 2, rows)

    def __len__(self) -> int:
        return len(self._coords)

    @property
    def coords(self) -> NDArray[np.int64]:
        """Coordinates (N, 2) of the rows so far."""
        coords: NDArray[np.int64] = self._coords[:]
        return coords

    def append(self, features: NDArray[np.float32], coords: NDArray[np.int64]) -> None:
        """Add rows: features (n, d), coords (n, 2) = x and y at level 0."""
        for dataset, rows in ((self._features, features), (self._coords, coords)):
            end = len(dataset)
            dataset.resize(end + len(rows), axis=0)
            dataset[end:] = rows
        self._check()

    def describe(self, attributes: Mapping[str, Attribute]) -> None:
        """Write the attributes, in the order of their names."""
        for name, value in sorted(attributes.items()):
            self._file.attrs[name] = value


@contextmanager
def drafting_bag(path: Path, dim: int, most: int) -> Iterator[BagDraft]:
    """A draft of the slide file `path` with features of `dim` numbers and probably at most `most` rows.

    On leaving, the attributes patches and complete = 1 are added and the draft takes the place of `path`; after a
    failure, or when the process is killed, `path` is as it was.

    Raises
    ------
    OSError
        Writing failed; errno is ENOSPC when the disk is full.
    """
    with writing_hdf5(path) as (file, check):
        bag = BagDraft(file, check, dim, most)
        yield bag
        bag.describe({"patches": len(bag)})
        bag.describe({"complete": 1})


def write_bag(
    path: Path, features: NDArray[np.float32], coords: NDArray[np.int64], attributes: Mapping[str, Attribute]
) -> None:
    """Write one slide at once: features (N, d), coords (N, 2) = x and y at level 0."""
    with drafting_bag(path, features.shape[1], len(features)) as bag:
        bag.append(features, coords)
        bag.describe(attributes)


def read_bag(path: Path) -> NDArray[np.float32]:
    """The features (N, d) of one slide."""
    with h5py.File(path) as file:
        features: NDArray[np.float32] = file["features"][:].astype(np.float32, copy=False)
    return features


def read_bag_coords(path: Path) -> NDArray[np.int64]:
    """The coordinates (N, 2) of one slide's features: x and y at level 0."""
    with h5py.File(path) as file:
        coords: NDArray[np.int64] = file["coords"][:]
    return coords


def read_bag_attributes(path: Path) -> dict[str, Attribute]:
    """The attributes of one slide file; {} if there is no such file, or if it is no finished one."""
    if not path.is_file():
        return {}
    try:
        with h5py.File(path) as file:
            attributes = {name: getattr(value, "item", lambda v=value: v)() for name, value in file.attrs.items()}
    except OSError:  # not HDF5: somebody else's file, or a disk that lied about its sync
        return {}
    return attributes if attributes.get("complete") == 1 else {}


def bag_is_whole(path: Path) -> bool:
    """Whether every chunk of a slide file still has its checksum, and as many rows as the file says."""
    try:
        with h5py.File(path) as file:
            features, coords = file["features"], file["coords"]
            for start in range(0, len(features), CHUNK):
                features[start : start + CHUNK]
            coords[:]
            return len(features) == len(coords) == int(file.attrs["patches"])
    except (KeyError, OSError):
        return False


def _growing(file: h5py.File, name: str, dtype: type, width: int, rows: int) -> h5py.Dataset:
    return file.create_dataset(
        name,
        shape=(0, width),
        maxshape=(None, width),
        chunks=(rows, width),
        dtype=dtype,
        fletcher32=True,
        track_times=False,
    )
