import os
import stat
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from shared.cohort.bag_files import read_bag, read_bag_attributes, write_bag
from shared.cohort.blood_text_file import TextFeatures, write_text_features
from shared.cohort.drafts import remove_drafts, replacing
from shared.cohort.image_file import Images, write_images
from shared.cohort.store import FeatureStore, Manifest, StoredFile, finish_store
from shared.cohort.store_files import Table, patient_key, read_table, site_salt, write_patients, write_table
from shared.digests import sha256_file
from shared.errors import CohortError

FEATURES = np.arange(6, dtype=np.float32).reshape(2, 3)
COORDS = np.array([[0, 0], [448, 0]])
BLOOD = Table(
    values=np.array([[0.0, 1.5], [0.0, 0.0]], dtype=np.float32),
    observed=np.array([[False, True], [False, False]]),
    columns=("6768-6", "2532-0"),
    keys=("k1", "k2"),
)
IMAGES = Images(
    features=np.arange(6, dtype=np.float32).reshape(3, 2),
    boxes=np.zeros((3, 4), np.float32),
    box_found=np.array([True, False, True]),
    keys=("k2", "k1", "k2"),
    image_id=("i2", "i3", "i1"),
)
TEXT = TextFeatures(np.array([[1.0, 2.0], [0.0, 0.0]], np.float32), ("f" * 64, ""), ("k1", "k2"))


def write_store(folder: Path) -> None:
    """Two patients; the first has two slides, blood and an image, the second two images."""
    for name in ("slides", "thumbnails"):
        (folder / name).mkdir(parents=True)
    (folder / "thumbnails/s1.jpg").write_bytes(b"a picture")
    write_images(folder / "imaging.h5", IMAGES)
    write_text_features(folder / "blood_text.h5", TEXT)
    patients = pd.DataFrame({"key": ["k1", "k2"], "case_id": ["a", "b"], "site": ["06", ""]})
    patients = patients.assign(absent_slides=["", "no usable slide"], absent_blood=["", "none"])
    write_patients(folder / "patients.csv", patients)
    write_table(folder / "blood.h5", BLOOD)
    for slide, offset in (("s1", 0), ("s2", 10)):
        write_bag(folder / f"slides/{slide}.h5", FEATURES + offset, COORDS, {"slide_sha256": "f", "schema": 1})
    names = [str(path.relative_to(folder)) for path in folder.rglob("*.*")]
    manifest = Manifest(
        schema=1,
        site="A",
        software={"mmfed": "0"},
        settings={"slides": {"encoder": "resnet50", "stain": "macenko"}},
        inputs_sha256="0",
        encoders={"slides": "abc", "imaging": "def", "blood": "fed"},
        slides={"k1": ["s1", "s2"]},
        files={name: StoredFile(sha256=sha256_file(folder / name), rows=2) for name in names},
    )
    finish_store(folder, manifest)


def test_a_store_is_read_as_it_was_written(tmp_path):
    write_store(tmp_path)
    store = FeatureStore.open(tmp_path)
    assert store.manifest.site == "A"
    assert store.manifest.encoders == {"slides": "abc", "imaging": "def", "blood": "fed"}
    assert store.stain == "macenko"
    assert store.patients["site"].tolist() == ["06", ""]
    assert store.patients["absent_slides"].tolist() == ["", "no usable slide"]
    np.testing.assert_array_equal(store.slides("k1"), np.concatenate([FEATURES, FEATURES + 10]))
    assert store.slides("k1").dtype == np.float32
    assert list(store.all_slides()) == ["k1"]
    table = store.table("blood")
    np.testing.assert_array_equal(table.values, BLOOD.values)
    np.testing.assert_array_equal(table.observed, BLOOD.observed)
    assert table.observed.dtype == np.bool_
    assert (table.columns, table.keys) == (BLOOD.columns, BLOOD.keys)
    assert store.table("expression") is None
    with pytest.raises(KeyError):
        store.slides("k2")


def test_a_store_without_manifest_is_not_finished(tmp_path):
    write_store(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(CohortError, match="expected a finished feature store, got none; run `mmfed-client prepare`"):
        FeatureStore.open(tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda p: (p / "slides/s2.h5").unlink(), lambda p: (p / "blood.h5").write_bytes(b"x")]
)
def test_a_damaged_store_is_refused(tmp_path, damage):
    write_store(tmp_path)
    damage(tmp_path)
    with pytest.raises(CohortError, match="got one changed or missing; prepare again"):
        FeatureStore.open(tmp_path)


@pytest.mark.parametrize("change", [('"schema":1', '"schema":2'), ('"site":', '"sight":')])
def test_a_manifest_of_another_schema_is_refused(tmp_path, change):
    write_store(tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(CohortError, match="expected a manifest of schema 1"):
        FeatureStore.open(tmp_path)


def test_files_hold_no_times(tmp_path):
    write_store(tmp_path / "one")
    time.sleep(1.1)
    write_store(tmp_path / "two")
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_the_salt_is_made_once_and_is_private(tmp_path):
    salt = site_salt(tmp_path / "state")
    assert len(salt) == 32
    assert site_salt(tmp_path / "state") == salt
    assert stat.S_IMODE((tmp_path / "state/salt").stat().st_mode) == 0o600
    (tmp_path / "state/salt").write_bytes(b"short")
    with pytest.raises(CohortError, match="expected 32 bytes, got 5"):
        site_salt(tmp_path / "state")


def test_keys_are_hmac_of_rfc_4231():
    # RFC 4231, test case 2: HMAC-SHA-256 of "what do ya want for nothing?" under the key "Jefe"
    assert patient_key(b"Jefe", "what do ya want for nothing?") == "5bdcc146bf60754e"


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as draft:  # noqa: PT012 the failure must come in between
        draft.write_text("new")
        _ = 1 / 0
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_drafts_of_dead_processes_are_removed(tmp_path):
    living, dead = (tmp_path / f".s1.h5.{process}.tmp" for process in (os.getpid(), 999_999_999))
    living.touch()
    dead.touch()
    remove_drafts(tmp_path)
    assert list(tmp_path.iterdir()) == [living]


def test_only_finished_bags_have_attributes(tmp_path):
    path = tmp_path / "s.h5"
    assert read_bag_attributes(path) == {}
    path.write_bytes(b"not HDF5")
    assert read_bag_attributes(path) == {}
    with h5py.File(path, "w") as file:
        file.attrs["schema"] = 1
    assert read_bag_attributes(path) == {}
    write_bag(path, FEATURES, COORDS, {"encoder": "resnet50", "mpp": 0.5, "tile": 224})
    assert read_bag_attributes(path) == {"encoder": "resnet50", "mpp": 0.5, "tile": 224, "patches": 2, "complete": 1}
    np.testing.assert_array_equal(read_bag(path), FEATURES)


def test_an_empty_table_survives(tmp_path):
    nobody = Table(np.zeros((0, 2), np.float32), np.zeros((0, 2), bool), ("a", "b"), ())
    write_table(tmp_path / "t.h5", nobody)
    read = read_table(tmp_path / "t.h5")
    assert read.values.shape == (0, 2)
    assert (read.columns, read.keys) == (("a", "b"), ())


def test_images_come_by_patient_in_the_order_of_their_names(tmp_path):
    write_store(tmp_path)
    images = FeatureStore.open(tmp_path).images()
    assert set(images) == {"k1", "k2"}
    np.testing.assert_array_equal(images["k2"], [[4, 5, 1], [0, 1, 1]])  # i1, i2; the last column is box_found
    np.testing.assert_array_equal(images["k1"], [[2, 3, 0]])
    assert images["k1"].dtype == np.float32


def test_described_blood_is_read(tmp_path):
    write_store(tmp_path)
    text = FeatureStore.open(tmp_path).blood_text()
    np.testing.assert_array_equal(text.features, TEXT.features)
    assert (text.text_sha256, text.keys) == (TEXT.text_sha256, TEXT.keys)


def test_a_store_without_images_text_and_slides(tmp_path):
    write_store(tmp_path)
    manifest = Manifest.read(tmp_path)
    files = {name: stored for name, stored in manifest.files.items() if name == "patients.csv"}
    finish_store(tmp_path, manifest.model_copy(update={"files": files, "settings": {"slides": None}}))
    store = FeatureStore.open(tmp_path)
    assert (store.images(), store.blood_text(), store.stain) == ({}, None, "")


def test_every_file_is_checked_on_request(tmp_path):
    assert FeatureStore.faults(tmp_path) == ["manifest.json"]
    write_store(tmp_path)
    assert FeatureStore.faults(tmp_path) == []
    (tmp_path / "thumbnails/s1.jpg").write_bytes(b"another picture")
    (tmp_path / "slides/s2.h5").unlink()
    with (tmp_path / "slides/s1.h5").open("ab") as file:
        file.write(b"x")
    assert FeatureStore.faults(tmp_path) == ["slides/s1.h5", "slides/s2.h5", "thumbnails/s1.jpg"]
