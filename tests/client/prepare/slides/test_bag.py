from pathlib import Path

import h5py
import numpy as np
import openslide
import pytest
from PIL import Image

from client.prepare.slides.bag import encode_slide, is_encoded
from client.prepare.slides.tiling import TileGrid, read_tiles
from shared.cohort.store_files import read_bag_attributes
from shared.errors import SlideError
from shared.study import Slides
from simulations.synthetic.aperio import write_aperio

REAL = Path("../shared/data/slides")
SETTINGS = Slides(mpp=0.5, tile=64, max_patches=5, weights="random")
real_slides = pytest.mark.skipif(not REAL.is_dir(), reason="the shared test data is not there")


def encode(source, target, encoder, settings=SETTINGS):
    return encode_slide(source, target, "f" * 64, settings, encoder)


def test_a_bag_holds_features_of_tissue_tiles_in_order(slide_file, tmp_path, random_encoder):
    target = tmp_path / "s.h5"
    assert encode(slide_file, target, random_encoder) == 5
    with h5py.File(target) as file, openslide.OpenSlide(slide_file) as slide:
        coords, features = file["coords"][:], file["features"][:]
        assert (coords[:, 0] < 256).all()
        assert (np.diff(coords[:, 1]) >= 0).all()
        grid = TileGrid.of(slide, 0.5, tile=64, mpp=0.5)
        expected = random_encoder.encode(next(read_tiles(slide, grid, coords, 16)))
        np.testing.assert_array_equal(features, expected)
    assert read_bag_attributes(target) == {
        "schema": 1,
        "encoder": "mobilenet_v2:random",
        "encoder_sha256": random_encoder.sha256,
        "dim": 1280,
        "mpp": 0.5,
        "tile": 64,
        "level": 0,
        "precision": "fp32",
        "engine": "torch",
        "slide_sha256": "f" * 64,
        "stain": "none",
        "patches": 5,
        "complete": 1,
    }


def test_only_the_same_slide_and_weights_count_as_encoded(slide_file, tmp_path, random_encoder):
    target = tmp_path / "s.h5"
    assert not is_encoded(target, "f" * 64, random_encoder.sha256)
    encode(slide_file, target, random_encoder)
    assert is_encoded(target, "f" * 64, random_encoder.sha256)
    assert not is_encoded(target, "e" * 64, random_encoder.sha256)
    assert not is_encoded(target, "f" * 64, "e" * 64)


def test_glass_alone_is_refused(tmp_path, random_encoder):
    write_aperio(tmp_path / "g.svs", np.full((256, 256, 3), 245, np.uint8), mpp=0.5, power=20, jpeg_quality=90)
    with pytest.raises(SlideError, match="expected a tile of 32 um with tissue, got none on 128 x 128 um; look at"):
        encode(tmp_path / "g.svs", tmp_path / "s.h5", random_encoder)
    assert not (tmp_path / "s.h5").exists()


def test_empty_foreign_and_truncated_files_are_refused(slide_file, tmp_path, random_encoder):
    empty, foreign, half = (tmp_path / name for name in ("e.svs", "f.svs", "h.svs"))
    empty.touch()
    Image.new("RGB", (64, 64)).save(foreign, "png")
    half.write_bytes(slide_file.read_bytes()[: slide_file.stat().st_size // 2])
    with pytest.raises(SlideError, match="expected a slide, got an empty file; copy it again"):
        encode(empty, tmp_path / "s.h5", random_encoder)
    with pytest.raises(SlideError, match="expected a slide that OpenSlide reads, got another format or half a file"):
        encode(foreign, tmp_path / "s.h5", random_encoder)
    with pytest.raises(SlideError, match="; copy"):
        encode(half, tmp_path / "s.h5", random_encoder)
    assert not (tmp_path / "s.h5").exists()


def test_a_slide_with_damaged_tiles_is_refused(slide_file, tmp_path, random_encoder):
    content = bytearray(slide_file.read_bytes())
    with openslide.OpenSlide(slide_file) as slide:
        assert slide.level_count == 2
    start = content.index(b"\xff\xd8")  # the first tile's JPEG stream
    content[start : start + 2000] = bytes(2000)
    damaged = tmp_path / "d.svs"
    damaged.write_bytes(content)
    with pytest.raises(SlideError, match=r"expected a whole slide, got a damaged one \(.*\); copy it again"):
        encode(damaged, tmp_path / "s.h5", random_encoder, SETTINGS.model_copy(update={"max_patches": 100}))


@real_slides
def test_a_real_aperio_slide(tmp_path, random_encoder):
    settings = Slides(mpp=1.0, tile=224, max_patches=3, weights="random")
    assert encode(REAL / "CMU-1-Small-Region.svs", tmp_path / "s.h5", random_encoder, settings) == 3
    with h5py.File(tmp_path / "s.h5") as file:
        assert np.isfinite(file["features"][:]).all()


@real_slides
def test_a_real_slide_without_resolution_is_refused(tmp_path, random_encoder):
    with pytest.raises(SlideError, match=r"got no property openslide\.mpp-x"):
        encode(REAL / "TCGA-CR-7395-01A-01-TS1.svs", tmp_path / "s.h5", random_encoder)


@real_slides
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.99])
def test_a_real_slide_cut_short_is_refused(tmp_path, random_encoder, part):
    content = (REAL / "CMU-1-Small-Region.svs").read_bytes()
    (tmp_path / "cut.svs").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(SlideError, match="; copy"):
        encode(tmp_path / "cut.svs", tmp_path / "s.h5", random_encoder)
