"""The feature store: everything that training reads of a site's patients (CONTRACT.md section 4)."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from shared.cohort.bag_files import read_bag
from shared.cohort.blood_text_file import TextFeatures, read_text_features
from shared.cohort.drafts import replacing
from shared.cohort.image_file import read_images
from shared.cohort.store_files import Table, read_patients, read_table
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
    encoders: dict[str, str]  # slides, imaging, blood (as text) -> SHA-256 of the encoder; "" when no patient has it
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

    @staticmethod
    def faults(folder: Path) -> list[str]:
        """The files of the store, slides and thumbnails too, that are missing or not as `prepare` wrote them.

        `manifest.json` alone when the store is not finished. Reads every byte of the store.

        Raises
        ------
        CohortError
            The manifest is of another schema, or damaged.
        """
        manifest = Manifest.read(folder)
        if manifest is None:
            return ["manifest.json"]
        return [
            name
            for name, stored in sorted(manifest.files.items())
            if not (folder / name).is_file() or sha256_file(folder / name) != stored.sha256
        ]

    @property
    def stain(self) -> str:
        """The stain normalisation behind the slide features: none, macenko, reinhard; "" for a store without slides."""
        settings = self.manifest.settings.get("slides")
        return str(settings.get("stain", "none")) if settings else ""

    def slides(self, key: str) -> NDArray[np.float32]:
        """The bag (N, d) of a patient: all slides in the order of slide_id; KeyError without slides."""
        return np.concatenate([read_bag(self.folder / "slides" / f"{slide}.h5") for slide in self.manifest.slides[key]])

    def all_slides(self) -> dict[str, NDArray[np.float32]]:
        """Patient key -> bag (N, d), of every patient that has slides."""
        return {key: self.slides(key) for key in self.manifest.slides}

    def table(self, name: TableName) -> Table | None:
        """A tabular modality, its rows in the order of `patients`; None if the store was prepared without it."""
        return read_table(self.folder / f"{name}.h5") if f"{name}.h5" in self.manifest.files else None

    def images(self) -> dict[str, NDArray[np.float32]]:
        """Patient key -> clinical images (I, d + 1) in the order of image_id, last column box_found; {} without any."""
        if "imaging.h5" not in self.manifest.files:
            return {}
        stored = read_images(self.folder / "imaging.h5")
        rows = np.column_stack([stored.features, stored.box_found]).astype(np.float32)
        places: dict[str, list[int]] = {}
        for place in sorted(range(len(rows)), key=lambda i: stored.image_id[i]):
            places.setdefault(stored.keys[place], []).append(place)
        return {key: rows[found] for key, found in places.items()}

    def blood_text(self) -> TextFeatures | None:
        """Features of the described blood results, one row a patient; None if the store was prepared without."""
        if "blood_text.h5" not in self.manifest.files:
            return None
        return read_text_features(self.folder / "blood_text.h5")
