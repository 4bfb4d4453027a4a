"""The files of a feature store: each written under a temporary name, synced, renamed; no times inside.

Layout and attributes follow CONTRACT.md section 4; slide files have the datasets that CLAM and TRIDENT write.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shared.errors import CohortError

__all__ = [
    "Table",
    "patient_key",
    "read_bag",
    "read_bag_attributes",
    "read_patients",
    "read_table",
    "remove_drafts",
    "replacing",
    "site_salt",
    "write_bag",
    "write_patients",
    "write_table",
]

Attribute = str | int | float


@dataclass(frozen=True, eq=False)
class Table:
    """One tabular modality of P patients."""

    values: NDArray[np.float32]  # (P, U), 0 where not observed
    observed: NDArray[np.bool_]  # (P, U)
    columns: tuple[str, ...]  # U names
    keys: tuple[str, ...]  # P patient keys


def site_salt(state: Path) -> bytes:
    """The site's 32 secret bytes in <state>/salt (mode 600), made at random the first time."""
    path = state / "salt"
    if not path.exists():
        state.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            draft.touch(mode=0o600)
            draft.write_bytes(secrets.token_bytes(32))
    salt = path.read_bytes()
    if len(salt) != 32:
        raise CohortError(
            f"{path}: expected 32 bytes, got {len(salt)}; restore it from a backup, or prepare anew without"
        )
    return salt


def patient_key(salt: bytes, case_id: str) -> str:
    """The name of a patient in logs: 16 hex digits of HMAC-SHA256(salt, case_id)."""
    return hmac.new(salt, case_id.encode(), hashlib.sha256).hexdigest()[:16]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; on leaving, its content is synced and takes the place of `path`.

    After a failure, or when the process is killed, `path` is as it was.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def remove_drafts(folder: Path) -> None:
    """Delete the temporary files in `folder` whose processes are gone: what a killed one leaves behind."""
    for draft in folder.glob(".*.tmp"):
        process = draft.name.split(".")[-2]
        if not process.isdigit():
            continue
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            draft.unlink(missing_ok=True)
        except PermissionError:  # alive, another user's
            continue


def write_table(path: Path, table: Table) -> None:
    """Write values, observed, columns and keys as one HDF5 file."""
    with replacing(path) as draft, h5py.File(draft, "w") as file:
        _dataset(file, "values", table.values)
        _dataset(file, "observed", table.observed)
        _dataset(file, "columns", np.array(table.columns, dtype=h5py.string_dtype()))
        _dataset(file, "keys", np.array(table.keys, dtype=h5py.string_dtype()))


def read_table(path: Path) -> Table:
    """Read what `write_table` wrote."""
    with h5py.File(path) as file:
        return Table(
            values=file["values"][:],
            observed=file["observed"][:],
            columns=tuple(file["columns"].asstr()[:]),
            keys=tuple(file["keys"].asstr()[:]),
        )


def write_bag(
    path: Path, features: NDArray[np.float32], coords: NDArray[np.int64], attributes: Mapping[str, Attribute]
) -> None:
    """Write one slide: features (N, d), coords (N, 2) = x and y at level 0; the attribute complete = 1 is added."""
    with replacing(path) as draft, h5py.File(draft, "w") as file:
        _dataset(file, "features", features)
        _dataset(file, "coords", coords)
        for name, value in sorted(attributes.items()):
            file.attrs[name] = value
        file.attrs["complete"] = 1


def read_bag(path: Path) -> NDArray[np.float32]:
    """The features (N, d) of one slide."""
    with h5py.File(path) as file:
        features: NDArray[np.float32] = file["features"][:].astype(np.float32, copy=False)
    return features


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


def write_patients(path: Path, patients: pd.DataFrame) -> None:
    """Write patients.csv."""
    with replacing(path) as draft:
        patients.to_csv(draft, index=False, lineterminator="\n")


def read_patients(path: Path) -> pd.DataFrame:
    """Read patients.csv: every column strings, "" where missing."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _dataset(file: h5py.File, name: str, values: NDArray[np.generic]) -> None:
    file.create_dataset(name, data=values, track_times=False)
