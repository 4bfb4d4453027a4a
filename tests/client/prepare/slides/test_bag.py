from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image, ImageFilter

from client.prepare.encoders import Encoder, build_encoder
from client.prepare.slides.bag import draw_again, encode_slide, first_batch
from client.prepare.slides.finished import thumbnail_of
from client.prepare.slides.pipeline import Crew
from client.prepare.slides.quality import inspect
from client.prepare.slides.slide import open_slide
from client.prepare.slides.stain import fit_stain
from client.prepare.slides.tiling import TileGrid, read_tile
from shared.cohort.bag_files import read_bag_attributes
from shared.errors import SlideError
from shared.study import Slides
from simulations.synthetic.aperio import write_aperio
from tests.slide_files import write_truncated

pytestmark = pytest.mark.slow  # together they take seconds

REAL = Path("../shared/data/slides")
SETTINGS = Slides(mpp=0.5, tile=64, max_patches=5, weights="random")
real_slides = pytest.mark.skipif(not REAL.is_dir(), reason="the shared test data is not there")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return build_encoder("mobilenet_v2", weights="random")


@pytest.fixture
def target(tmp_path) -> Path:
    path = tmp_path / "store/slides/s.h5"
    path.parent.mkdir(parents=True)
    return path


def encode(source, target, encoder, settings=SETTINGS, written_mpp=None, readers=2):
    with Crew(readers, encoder.workers) as crew:
        encode_slide(source, target, "f" * 64, written_mpp, settings, encoder, crew)


def written(tmp_path, pixels, name="s.svs"):
    write_aperio(tmp_path / name, pixels, mpp=0.5, power=20, jpeg_quality=90)
    return tmp_path / name


def tissue(height=256, width=256, seed=0):
    grain = np.random.default_rng(seed).choice([-60, 0, 50], (height // 8, width // 8))
    return (np.array([200, 120, 180]) + np.kron(grain, np.ones((8, 8), int))[..., None]).astype(np.uint8)


def blurred(pixels):
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(4)))


def test_a_bag_holds_features_of_tissue_tiles_in_order(slide_file, target, encoder):
    encode(slide_file, target, encoder)
    with h5py.File(target) as file, open_slide(slide_file) as slide:
        coords, features = file["coords"][:], file["features"][:]
        assert (coords[:, 0] < 256).all()
        assert (np.diff(coords[:, 1]) >= 0).all()
        grid = TileGrid.of(slide, 0.5, tile=64, mpp=0.5)
        tiles = np.stack([read_tile(slide, grid, (int(x), int(y))) for x, y in coords])
        np.testing.assert_array_equal(features, encoder.encode(tiles))
    attributes = read_bag_attributes(target)
    assert attributes.pop("tissue") == pytest.approx(0.5, abs=0.05)
    assert attributes == {
        "schema": 1,
        "recipe": 1,
        "encoder": "mobilenet_v2:random",
        "encoder_sha256": encoder.sha256,
        "recipe_sha256": encoder.recipe_sha256,
        "dim": 1280,
        "mpp": 0.5,
        "tile": 64,
        "max_patches": 5,
        "level": 0,
        "precision": "fp32",
        "engine": "torch",
        "slide_sha256": "f" * 64,
        "slide_mpp": 0.5,
        "written_mpp": 0.0,
        "stain": "none",
        "quality": 1,
        "pen": 0.0,
        "black": 0.0,
        "bubbles": 0.0,
        "blurred": 0.0,
        "warning": "",
        "patches": 5,
        "complete": 1,
    }


def test_the_picture_is_a_jpeg_and_can_be_drawn_again(slide_file, target, encoder):
    encode(slide_file, target, encoder)
    picture = thumbnail_of(target)
    assert picture == target.parents[1] / "thumbnails/s.jpg"
    with Image.open(picture) as image:
        assert (image.format, image.size) == ("JPEG", (512, 512))
    before = picture.read_bytes()
    picture.unlink()
    draw_again(slide_file, target, None, SETTINGS)
    assert picture.read_bytes() == before


@pytest.mark.parametrize("readers", [1, 5])
def test_bytes_depend_on_neither_threads_nor_timing(slide_file, tmp_path, target, encoder, readers):
    settings = SETTINGS.model_copy(update={"max_patches": 1000, "tile": 32})
    encode(slide_file, target, encoder, settings, readers=3)
    other = tmp_path / "other/slides/s.h5"
    other.parent.mkdir(parents=True)
    several = replace(encoder, plan=replace(encoder.plan, workers=readers))
    encode(slide_file, other, several, settings, readers=readers)
    assert read_bag_attributes(target)["patches"] > 100
    assert other.read_bytes() == target.read_bytes()


def test_blurred_tiles_are_left_out_and_counted(tmp_path, target, encoder):
    pixels = tissue()
    pixels[:128] = blurred(pixels)[:128]
    encode(written(tmp_path, pixels), target, encoder, SETTINGS.model_copy(update={"max_patches": 100}))
    with h5py.File(target) as file:
        assert file["coords"][:].tolist() == [[x, y] for y in (128, 192) for x in (0, 64, 128, 192)]
    attributes = read_bag_attributes(target)
    assert (attributes["blurred"], attributes["warning"]) == (0.5, "")


def test_a_slide_that_is_blurred_throughout_is_kept_with_a_warning(tmp_path, target, encoder):
    encode(written(tmp_path, blurred(tissue())), target, encoder)
    attributes = read_bag_attributes(target)
    assert attributes["patches"] == 5
    assert attributes["blurred"] == 1.0
    assert attributes["warning"] == "every tile is blurred, so all were kept"


def test_without_quality_control_blurred_tiles_are_taken(tmp_path, target, encoder):
    settings = SETTINGS.model_copy(update={"quality": False})
    encode(written(tmp_path, blurred(tissue())), target, encoder, settings)
    attributes = read_bag_attributes(target)
    assert (attributes["patches"], attributes["blurred"], attributes["warning"]) == (5, 0.0, "")


def test_stains_are_brought_to_a_common_look_on_request(slide_file, target, encoder):
    encode(slide_file, target, encoder, SETTINGS.model_copy(update={"stain": "reinhard"}))
    assert read_bag_attributes(target)["stain"] == "reinhard"
    with h5py.File(target) as file, open_slide(slide_file) as slide:
        grid = TileGrid.of(slide, 0.5, tile=64, mpp=0.5)
        normalise = fit_stain("reinhard", slide, inspect(slide, 0.5, True))
        tiles = [read_tile(slide, grid, (int(x), int(y))) for x, y in file["coords"][:]]
        assert not np.array_equal(normalise(tiles[0]), tiles[0])
        np.testing.assert_array_equal(file["features"][:], encoder.encode(np.stack([*map(normalise, tiles)])))


def test_the_first_batch_is_what_is_encoded_first(slide_file, target, encoder):
    with Crew(2, 1) as crew:
        tiles = first_batch(slide_file, None, SETTINGS, 3, crew)
    encode(slide_file, target, encoder)
    with h5py.File(target) as file:
        np.testing.assert_array_equal(encoder.encode(tiles), file["features"][:3])


def test_the_first_batch_of_a_blurred_slide_is_not_empty(tmp_path):
    with Crew(1, 1) as crew:
        assert first_batch(written(tmp_path, blurred(tissue())), None, SETTINGS, 3, crew).shape == (3, 64, 64, 3)


def test_glass_alone_is_refused(tmp_path, target, encoder):
    glass = written(tmp_path, np.full((256, 256, 3), 245, np.uint8))
    with pytest.raises(SlideError, match="expected a tile of 32 um with tissue, got none on 128 x 128 um; look at"):
        encode(glass, target, encoder)
    assert not list(target.parent.iterdir())


def test_empty_foreign_and_truncated_files_are_refused(slide_file, tmp_path, target, encoder):
    empty, foreign = tmp_path / "e.svs", tmp_path / "f.svs"
    empty.touch()
    Image.new("RGB", (64, 64)).save(foreign, "png")
    half = write_truncated(tmp_path / "h.svs", slide_file, 0.5)
    with pytest.raises(SlideError, match="expected a slide, got an empty file; copy it again"):
        encode(empty, target, encoder)
    with pytest.raises(SlideError, match="expected a slide, got a PNG picture; put the slide itself in its place"):
        encode(foreign, target, encoder)
    with pytest.raises(SlideError, match="; copy"):
        encode(half, target, encoder)
    assert not list(target.parent.iterdir())


def test_a_slide_with_damaged_tiles_is_refused(slide_file, tmp_path, target, encoder):
    content = bytearray(slide_file.read_bytes())
    start = content.index(b"\xff\xd8")  # the first tile's JPEG stream
    content[start : start + 2000] = bytes(2000)
    damaged = tmp_path / "d.svs"
    damaged.write_bytes(content)
    with pytest.raises(SlideError, match=r"expected a whole slide, got a damaged one \(.*\); copy it again"):
        encode(damaged, target, encoder, SETTINGS.model_copy(update={"max_patches": 100}))
    assert not list(target.parent.iterdir())


def test_a_stopped_crew_leaves_no_draft(slide_file, target, encoder):
    with Crew(1, 1) as crew:
        crew.stop()
        with pytest.raises(CancelledError):
            encode_slide(slide_file, target, "f" * 64, None, SETTINGS, encoder, crew)
    assert not list(target.parent.iterdir())


@real_slides
def test_a_real_aperio_slide(target, encoder):
    encode(REAL / "CMU-1-Small-Region.svs", target, encoder, Slides(mpp=1.0, max_patches=3, weights="random"))
    with h5py.File(target) as file:
        assert file["features"].shape == (3, 1280)
        assert np.isfinite(file["features"][:]).all()


@real_slides
def test_a_real_slide_without_resolution_needs_one_in_the_table(target, encoder):
    source = REAL / "TCGA-CR-7395-01A-01-TS1.svs"
    settings = Slides(mpp=1.0, max_patches=2, weights="random")
    with pytest.raises(
        SlideError,
        match="expected a resolution of .* got none in its properties or TIFF resolution tags; add a column mpp",
    ):
        encode(source, target, encoder, settings)
    encode(source, target, encoder, settings, written_mpp=0.5)
    attributes = read_bag_attributes(target)
    assert (attributes["slide_mpp"], attributes["written_mpp"], attributes["patches"]) == (0.5, 0.5, 2)
