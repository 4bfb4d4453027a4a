"""blood_text.h5 of a feature store: what a frozen text encoder made of each patient's described blood results.

Only features and hashes are stored; the texts stay in the site's state folder, if anywhere.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from shared.cohort.hdf5_draft import writing_hdf5

__all__ = ["TextFeatures", "read_text_features", "write_text_features"]


@dataclass(frozen=True, eq=False)
class TextFeatures:
    """Text features of P patients."""

    features: NDArray[np.float32]  # (P, text_dim), 0 where a patient has no blood results
    text_sha256: tuple[str, ...]  # P hex digests of the texts, "" where there are no blood results
    keys: tuple[str, ...]  # P patient keys

    @property
    def present(self) -> NDArray[np.bool_]:
        """(P,): which patients have blood results."""
        return np.array([digest != "" for digest in self.text_sha256], dtype=bool)

    def take(self, kept: NDArray[np.bool_]) -> "TextFeatures":
        """The patients marked in `kept` (P,)."""
        chosen = np.flatnonzero(kept)
        return TextFeatures(
            self.features[chosen],
            tuple(self.text_sha256[i] for i in chosen),
            tuple(self.keys[i] for i in chosen),
        )


def write_text_features(path: Path, text: TextFeatures) -> None:
    """Write features, text_sha256 and keys as one HDF5 file."""
    with writing_hdf5(path) as (file, _):
        file.create_dataset("features", data=text.features, track_times=False)
        for name, words in (("text_sha256", text.text_sha256), ("keys", text.keys)):
            file.create_dataset(name, data=np.array(words, dtype=h5py.string_dtype()), track_times=False)


def read_text_features(path: Path) -> TextFeatures:
    """Read what `write_text_features` wrote."""
    with h5py.File(path) as file:
        return TextFeatures(
            features=file["features"][:],
            text_sha256=tuple(file["text_sha256"].asstr()[:]),
            keys=tuple(file["keys"].asstr()[:]),
        )
