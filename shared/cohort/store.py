"""The feature store: everything that training reads of a site's patients (CONTRACT.md section 4)."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from shared.cohort.store_files import Table, read_bag, read_patients, read_table, replacing
from shared.digests import canonical_json, sha256_file
from shared.documents import Document
from shared.errors import CohortError

__all__ = ["FeatureStore", "Manifest", "StoredFile", "Table", "TableName", "finish_store"]

TableName = Literal["expression", "aux", "blood", "clinical"]


class StoredFile(Document):
    """One file of the store: its SHA-256, and how many patients or patches it holds."""

    sha256: str
    rows: int


class Manifest(Document):
    """manifest.json: written last, so that a store with a manifest is finished."""

    schema_: Literal[1] = Field(alias="schema")
    site: str
    software: dict[str, str]
    settings: dict[str, Any]
    inputs_sha256: str  # of the files and the site's own settings that the store was made from
    encoders: dict[str, str]  # modality -> SHA-256 of the encoder's weights; "" when no patient has it
    slides: dict[str, list[str]]  # patient key -> slide ids in order
    files: dict[str, StoredFile]  # path in the store -> what it holds

    @classmethod
    def read(cls, folder: Path) -> "Manifest | None":
        """The manifest of a finished store; None if the store is not finished.

        Raises
        ------
        CohortError
            The manifest is of another schema, or damaged.
        """
        path = folder / "manifest.json"
        if not path.is_file():
            return None
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValueError as exc:
            raise CohortError(f"{path}: expected a manifest of schema 1, got another; run `prepare` again") from exc


def finish_store(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json, which declares the store finished."""
    with replacing(folder / "manifest.json") as draft:
        draft.write_text(canonical_json(manifest.model_dump(mode="json", by_alias=True)), encoding="utf-8")


class FeatureStore:
    """A finished feature store, opened for reading.

    Attributes
    ----------
    folder
        Where it lies.
    manifest
        What it was made from and what it holds.
    patients
        One row a patient in the order of case_id: key, case_id, the clinical columns after the site's mapping (strings,
        "" where missing) and `absent_<modality>`, the reason why the patient lacks it ("" = present).
    """

    def __init__(self, folder: Path, manifest: Manifest, patients: pd.DataFrame) -> None:
        self.folder = folder
        self.manifest = manifest
        self.patients = patients

    @classmethod
    def open(cls, folder: Path) -> "FeatureStore":
        """Open the store in `folder`; its tables are checked against their hashes.

        Raises
        ------
        CohortError
            The store is not finished, or a table is missing or not as it was written.
        """
        manifest = Manifest.read(folder)
        if manifest is None:
            raise CohortError(f"{folder}: expected a finished feature store, got none; run `mmfed-client prepare`")
        for name, stored in manifest.files.items():
            path = folder / name
            if not path.is_file() or (path.parent == folder and sha256_file(path) != stored.sha256):
                raise CohortError(
                    f"{folder}: expected every file as `prepare` wrote it, got one changed or missing; prepare again"
                )
        return cls(folder, manifest, read_patients(folder / "patients.csv"))

    @property
    def encoder_sha256(self) -> str:
        """SHA-256 of the weights behind the slide features; "" when no patient has any."""
        return self.manifest.encoders.get("slides", "")

    def slides(self, key: str) -> NDArray[np.float32]:
        """The bag (N, d) of a patient: all slides in the order of slide_id; KeyError without slides."""
        return np.concatenate([read_bag(self.folder / "slides" / f"{slide}.h5") for slide in self.manifest.slides[key]])

    def all_slides(self) -> dict[str, NDArray[np.float32]]:
        """Patient key -> bag (N, d), of every patient that has slides."""
        return {key: self.slides(key) for key in self.manifest.slides}

    def table(self, name: TableName) -> Table | None:
        """A tabular modality, its rows in the order of `patients`; None if the store was prepared without it."""
        return read_table(self.folder / f"{name}.h5") if f"{name}.h5" in self.manifest.files else None
