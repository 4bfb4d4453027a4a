"""From a feature store to patients: clinical images, and blood results that were described in words."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shared.cohort.blood_text_file import TextFeatures, write_text_features
from shared.cohort.image_file import Images, write_images
from shared.cohort.load import load_patients
from shared.cohort.store import FeatureStore, Manifest, StoredFile, finish_store
from shared.cohort.store_files import write_patients
from shared.digests import sha256_file
from shared.errors import Refused
from shared.study import Study, parse_study

WIDTH = 2


def study_of(**imaging: Any) -> Study:
    return parse_study(
        {
            "schema": 1,
            "name": "s",
            "task": {"kind": "classification", "column": "tumour", "classes": ["benign", "malignant"]},
            "model": {"architecture": "linear"},
            "modalities": {
                "blood": {"route": "template", "text_encoder": "small", "text_dim": WIDTH},
                "imaging": {"encoder": "tiny", "dim": WIDTH, "max_images": 2, **imaging},
            },
            "split": {"test_fraction": 0.0},
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """Three patients: a has both, b no blood, c no image; the files name them in another order."""
    patients = pd.DataFrame({"key": ["ka", "kb", "kc"], "case_id": ["a", "b", "c"]})
    patients = patients.assign(tumour=["benign", "malignant", "benign"])
    patients = patients.assign(absent_blood=["", "none", ""], absent_imaging=["", "", "none"])
    write_patients(tmp_path / "patients.csv", patients)
    features = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    boxes, found = np.zeros((3, 4), np.float32), np.array([True, False, True])
    write_images(tmp_path / "imaging.h5", Images(features, boxes, found, ("kb", "ka", "ka"), ("b1", "a2", "a1")))
    text = np.array([[7, 8], [0, 0], [9, 10]], np.float32)
    write_text_features(tmp_path / "blood_text.h5", TextFeatures(text, ("1", "", "2"), ("kc", "kb", "ka")))
    names = ("patients.csv", "imaging.h5", "blood_text.h5")
    manifest = Manifest(
        schema=1,
        site="A",
        software={},
        settings={},
        inputs_sha256="0",
        encoders={"imaging": "i", "blood": "t"},
        slides={},
        files={name: StoredFile(sha256=sha256_file(tmp_path / name), rows=3) for name in names},
    )
    finish_store(tmp_path, manifest)
    return FeatureStore.open(tmp_path)


def test_images_and_text_stand_beside_their_patients(store: FeatureStore) -> None:
    loaded = load_patients(store, study_of(), "log2")
    patients = loaded.patients
    assert patients.case_id.tolist() == ["a", "b", "c"]
    assert patients.present.tolist() == [[1, 1], [0, 1], [1, 0]]
    assert [image.tolist() for image in patients.images] == [[[5, 6, 1], [3, 4, 0]], [[1, 2, 1]], []]
    assert patients.blood.tolist() == [[9, 10], [0, 0], [7, 8]]
    assert patients.blood_observed.tolist() == [[True, True], [False, False], [True, True]]
    assert (loaded.encoders, loaded.stain) == ({"imaging": "i", "blood": "t"}, "")
    batch = patients.batch([0, 2])
    assert batch.imaging.shape == (2, 2, WIDTH + 1)
    assert batch.imaging_mask.tolist() == [[True, True], [False, False]]


def test_the_study_says_how_many_images_are_used(store: FeatureStore) -> None:
    batch = load_patients(store, study_of(max_images=1), "log2").patients.batch([0, 1])
    assert batch.imaging.tolist() == [[[5, 6, 1]], [[1, 2, 1]]]


def test_images_of_another_width_are_refused(store: FeatureStore) -> None:
    with pytest.raises(Refused, match="expected imaging features of width 3, got others; run `prepare`") as caught:
        load_patients(store, study_of(dim=3), "log2")
    assert caught.value.code == "ENCODER_MISMATCH"


def test_text_of_another_width_is_refused(store: FeatureStore) -> None:
    study = study_of()
    blood = study.modalities.blood
    assert blood is not None
    wide = study.modalities.model_copy(update={"blood": blood.model_copy(update={"text_dim": 5})})
    with pytest.raises(Refused, match="expected blood features of width 5, got others; run `prepare`"):
        load_patients(store, study.model_copy(update={"modalities": wide}), "log2")
