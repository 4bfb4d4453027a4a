from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.slides.imported import imported_bag
from shared.cohort.bag_files import write_bag
from shared.errors import SlideError
from shared.site import ImportedFeatures
from shared.study import Slides

SHA = "a" * 64
SETTINGS = Slides(encoder="uni_v1", dim=8, mpp=0.5, tile=256, max_patches=100)
SAID = ImportedFeatures(encoder="uni_v1", encoder_sha256=SHA)
OTHER = ImportedFeatures(encoder="conch_v1", encoder_sha256=SHA)
FEATURES = np.arange(48, dtype=np.float32).reshape(6, 8)
COORDS = np.array([[512, 0], [0, 256], [256, 0], [0, 0], [512, 256], [256, 256]], dtype=np.int32)
ORDER = [3, 2, 0, 1, 5, 4]  # by rows, then columns
TRIDENT = {
    "patch_size": 256,
    "patch_size_level0": 512,
    "level0_magnification": 40,
    "target_magnification": 20,
    "overlap": 0,
    "name": "s",
    "savetodir": "/out",
}


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Write features and coords with attributes on coords; returns the file."""

    def write(features: Any = FEATURES, coords: Any = COORDS, attributes: dict[str, Any] | None = None) -> Path:
        path = tmp_path / "s.h5"
        with h5py.File(path, "w") as target:
            if features is not None:
                target.create_dataset("features", data=features)
            if coords is not None:
                target.create_dataset("coords", data=coords).attrs.update(attributes or {})
        return path

    return write


def test_a_file_of_clam(file):
    """CLAM says nothing of its patches: resolution and size are the study's."""
    bag = imported_bag(file(), SETTINGS, SAID)
    features, coords, attributes = bag
    np.testing.assert_array_equal(features, FEATURES[ORDER])
    np.testing.assert_array_equal(coords, COORDS[ORDER])
    assert (features.dtype, coords.dtype) == (np.float32, np.int64)
    assert attributes == {
        "schema": 1,
        "encoder": "uni_v1",
        "encoder_sha256": SHA,
        "dim": 8,
        "mpp": 0.5,
        "tile": 256,
        "level": 0,
        "precision": "fp32",
        "engine": "imported",
        "stain": "none",
        "patches": 6,
        "geometry": "assumed",
    }


def test_a_file_of_trident(file):
    bag = imported_bag(file(FEATURES[None].astype(np.float16), COORDS[None], TRIDENT), SETTINGS, SAID)
    np.testing.assert_array_equal(bag.features, FEATURES[ORDER])
    np.testing.assert_array_equal(bag.coords, COORDS[ORDER])
    assert bag.features.dtype == np.float32
    found = {name: bag.attributes[name] for name in ("mpp", "tile", "precision", "geometry")}
    assert found == {"mpp": 0.5, "tile": 256, "precision": "fp16", "geometry": "stated"}


def test_a_file_of_mmfed(tmp_path):
    own = {"encoder": "uni_v1", "encoder_sha256": SHA, "mpp": 0.5, "tile": 256, "level": 2, "stain": "macenko"}
    write_bag(tmp_path / "s.h5", FEATURES, COORDS.astype(np.int64), own)
    stained = SETTINGS.model_copy(update={"stain": "macenko"})
    bag = imported_bag(tmp_path / "s.h5", stained, SAID)
    assert (bag.attributes["level"], bag.attributes["stain"], bag.attributes["geometry"]) == (2, "macenko", "stated")
    with pytest.raises(SlideError, match="expected stain 'none', as the study or the site file says, got 'macenko'"):
        imported_bag(tmp_path / "s.h5", SETTINGS, SAID)
    with pytest.raises(SlideError, match="expected encoder_sha256 'b+', .*, got 'a+'; make the features again"):
        imported_bag(tmp_path / "s.h5", stained, ImportedFeatures(encoder="uni_v1", encoder_sha256="b" * 64))


def test_more_than_max_patches_are_thinned_evenly(file, monkeypatch):
    monkeypatch.setattr("client.prepare.slides.imported.SLAB", 4)
    bag = imported_bag(file(), SETTINGS.model_copy(update={"max_patches": 3}), SAID)
    np.testing.assert_array_equal(bag.coords, COORDS[ORDER][[1, 3, 5]])
    np.testing.assert_array_equal(bag.features, FEATURES[ORDER][[1, 3, 5]])
    assert bag.attributes["patches"] == 3


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"target_magnification": 40}, r"expected patches of 0\.5 um per px, got 0\.25; make the features again"),
        ({"patch_size": 224}, "expected tile 256, as the study or the site file says, got 224"),
    ],
)
def test_other_patches_than_the_study_asks_for_are_refused(file, attributes, message):
    with pytest.raises(SlideError, match=message):
        imported_bag(file(attributes=TRIDENT | attributes), SETTINGS, SAID)


def test_a_nominal_power_counts_as_its_resolution(file):
    settings = SETTINGS.model_copy(update={"mpp": 0.48})
    assert imported_bag(file(attributes=TRIDENT), settings, SAID).attributes["mpp"] == 0.5


def changed(array: np.ndarray, place: tuple[int, int], value: float) -> np.ndarray:
    array = array.astype(np.float64)
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("features", "coords", "message"),
    [
        (None, COORDS, "expected a dataset 'features', got none; choose the file with features, not that of patches"),
        (FEATURES, None, "expected a dataset 'coords', got none"),
        (FEATURES[:, :7], COORDS, r"expected 'features' with 8 columns, got the shape \(6, 7\); name the encoder"),
        (FEATURES[0], COORDS, r"expected 'features' with 8 columns, got the shape \(8,\)"),
        (np.stack([FEATURES] * 2), COORDS, r"got the shape \(2, 6, 8\)"),
        (FEATURES, COORDS[:, :1], r"expected 'coords' with 2 columns, got the shape \(6, 1\)"),
        (FEATURES.astype(np.int32), COORDS, "expected numbers in 'features', got int32"),
        (FEATURES[:4], COORDS, "expected as many features as coordinates, at least one, got 4 and 6"),
        (FEATURES[:0], COORDS[:0], "at least one, got 0 and 0; the tool was interrupted or found nothing"),
        (changed(FEATURES, (2, 3), np.nan), COORDS, "expected finite features, got NaN or infinity"),
        (changed(FEATURES, (2, 3), np.inf), COORDS, "expected finite features, got NaN or infinity"),
        (FEATURES, changed(COORDS, (1, 1), -5), "expected coords in whole level-0 pixels from 0, got others"),
        (FEATURES, changed(COORDS, (1, 1), 0.5), "expected coords in whole level-0 pixels from 0, got others"),
        (FEATURES, changed(COORDS, (1, 1), np.nan), "expected coords in whole level-0 pixels from 0, got others"),
    ],
)
def test_what_is_no_bag_is_refused(file, features, coords, message):
    with pytest.raises(SlideError, match=message):
        imported_bag(file(features, coords), SETTINGS, SAID)


@pytest.mark.parametrize(
    ("settings", "said", "message"),
    [
        ({}, OTHER, r"expected features of uni_v1, .* got 'conch_v1' in \[features\]"),
        ({"encoder_sha256": "b" * 64}, SAID, r"expected weights with SHA-256 b{12}\.\.\., .*, got a{12}\.\.\. in"),
        ({"weights": "random"}, SAID, "expected a study with pretrained weights, got random ones"),
        ({"stain": "reinhard"}, SAID, "expected stain 'reinhard', as the study or the site file says, got 'none'"),
    ],
)
def test_features_of_another_making_are_refused(file, settings, said, message):
    with pytest.raises(SlideError, match=message):
        imported_bag(file(), SETTINGS.model_copy(update=settings), said)


def test_agreeing_weights_are_accepted(file):
    assert len(imported_bag(file(), SETTINGS.model_copy(update={"encoder_sha256": SHA}), SAID).features) == 6


def test_empty_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "s.h5"
    path.touch()
    with pytest.raises(SlideError, match="expected an HDF5 file of features, got an empty file; copy it again"):
        imported_bag(path, SETTINGS, SAID)
    path.write_bytes(b"PK\3\4 features" * 100)
    with pytest.raises(SlideError, match="expected a whole HDF5 file of features, got a damaged, unfinished or other"):
        imported_bag(path, SETTINGS, SAID)


def test_an_absurd_number_of_patches_is_refused_before_it_is_read(tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as target:
        for name, width in (("features", 8), ("coords", 2)):
            target.create_dataset(name, shape=(2**40, width), dtype=np.float32, chunks=(64, width))
    with pytest.raises(SlideError, match="at least one, got 1099511627776 and 1099511627776"):
        imported_bag(tmp_path / "s.h5", SETTINGS, SAID)


@given(st.data())
def test_a_file_cut_anywhere_or_with_wrong_bytes_is_read_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cut")
    with h5py.File(folder / "whole.h5", "w") as target:
        target.create_dataset("features", data=FEATURES, chunks=(2, 8), compression="gzip")
        target.create_dataset("coords", data=COORDS).attrs.update(TRIDENT)
    content = bytearray((folder / "whole.h5").read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(1, len(content) - 1))]
    else:
        start = data.draw(st.integers(0, len(content) - 1))
        wrong = data.draw(st.binary(min_size=1, max_size=64))
        content[start : start + len(wrong)] = wrong
    (folder / "cut.h5").write_bytes(content)
    try:
        bag = imported_bag(folder / "cut.h5", SETTINGS, SAID)
    except SlideError:
        return
    assert bag.features.shape == (len(bag.coords), 8)
    assert np.isfinite(bag.features).all()
