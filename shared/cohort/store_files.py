"""The files of a feature store: each written under a temporary name, synced, renamed; no times inside.

The layout follows CONTRACT.md section 4; slides, images and described blood have modules of their own.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shared.cohort.drafts import replacing
from shared.cohort.hdf5_draft import writing_hdf5
from shared.errors import CohortError

__all__ = [
    "Table",
    "patient_key",
    "read_patients",
    "read_table",
    "site_salt",
    "write_patients",
    "write_table",
]


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


def write_table(path: Path, table: Table) -> None:
    """Write values, observed, columns and keys as one HDF5 file."""
    with writing_hdf5(path) as (file, _):
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


def write_patients(path: Path, patients: pd.DataFrame) -> None:
    """Write patients.csv."""
    with replacing(path) as draft:
        patients.to_csv(draft, index=False, lineterminator="\n")


def read_patients(path: Path) -> pd.DataFrame:
    """Read patients.csv: every column strings, "" where missing."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _dataset(file: h5py.File, name: str, values: NDArray[np.generic]) -> None:
    file.create_dataset(name, data=values, track_times=False)
