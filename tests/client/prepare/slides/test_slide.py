import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from client.prepare.slides.slide import open_slide
from shared.errors import SlideError
from tests import slide_files
from tests.slide_files import tissue_pixels, write_pyramid

REAL = Path("../shared/data/slides")
real_slides = pytest.mark.skipif(not REAL.is_dir(), reason="the shared test data is not there")
SMALL, TCGA = REAL / "CMU-1-Small-Region.svs", REAL / "TCGA-CR-7395-01A-01-TS1.svs"
WHOLE = tissue_pixels(768, 1024)  # its quarter is 192 x 256: a whole downsample
ODD = tissue_pixels(501, 602)  # its quarter is 125 x 150: downsamples of 4.008 and 4.013

KINDS = {
    "aperio": lambda path: write_pyramid(path / "a.svs", WHOLE),
    "aperio in RGB": lambda path: write_pyramid(path / "r.svs", WHOLE, colours="rgb"),
    "odd": lambda path: write_pyramid(path / "o.svs", ODD, tile=240),
    "generic": lambda path: slide_files.write_generic_tiff(path / "g.tif", WHOLE, downsamples=(1, 2, 4), tile=128),
    "bigtiff": lambda path: slide_files.write_bigtiff(path / "b.tiff", WHOLE, tile=512),
    "one level": lambda path: slide_files.write_single_level(path / "s.tif", ODD, tile=64),
    "lossless": lambda path: slide_files.write_single_level(path / "l.tif", ODD, compression="lzw"),
    "dicom": lambda path: slide_files.write_dicom_wsi(path / "dicom", WHOLE).parent,
}
DIRECT = {"aperio": (0, 1), "aperio in RGB": (0, 1), "odd": (0,), "generic": (0, 1, 2), "bigtiff": (0, 1)}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    return {kind: write(folder) for kind, write in KINDS.items()}


def assert_is_openslides(pixels, path, corner, level):
    """Its pixels where it has some, white where it has none; the few that it half covers are not looked at."""
    with openslide.OpenSlide(path / "level0.dcm" if path.is_dir() else path) as slide:
        region = np.asarray(slide.read_region(corner, level, (pixels.shape[1], pixels.shape[0])))
    covered = region[..., 3]
    np.testing.assert_array_equal(pixels[covered == 255], region[covered == 255][:, :3])
    assert (pixels[covered == 0] == 255).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_opens_and_tells_its_levels(written, kind):
    with open_slide(written[kind]) as slide:
        assert (
            slide.dimensions
            == slide.level_dimensions[0]
            == ((602, 501) if kind in ("odd", "one level", "lossless") else (1024, 768))
        )
        assert slide.level_downsamples[0] == 1
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.5)
        assert slide.direct_levels == DIRECT.get(kind, () if kind in ("lossless", "dicom") else (0,))
        assert slide.path == written[kind]


@settings(max_examples=12)
@given(data=st.data())
@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_those_of_openslide(written, kind, data):
    with open_slide(written[kind]) as slide:
        level = data.draw(st.integers(0, len(slide.level_dimensions) - 1))
        step = data.draw(st.sampled_from([1, int(slide.level_downsamples[level])]))
        corner = tuple(step * data.draw(st.integers(-80 // step, extent // step + 5)) for extent in slide.dimensions)
        size = data.draw(st.tuples(st.integers(1, 300), st.integers(1, 300)))
        pixels = slide.read(corner, level, size)
        np.testing.assert_array_equal(pixels, slide.read_reference(corner, level, size))
    assert pixels.shape == (size[1], size[0], 3)
    assert_is_openslides(pixels, written[kind], corner, level)


@pytest.mark.parametrize("kind", ["aperio", "aperio in RGB", "generic", "bigtiff", "dicom"])
def test_pixels_are_those_that_were_written(written, kind):
    with open_slide(written[kind]) as slide:
        pixels = slide.read((0, 0), 0, slide.dimensions)
    assert np.abs(pixels.astype(int) - WHOLE).mean() < 3


def test_beyond_the_border_is_white(written):
    with open_slide(written["aperio"]) as slide:
        pixels = slide.read((-10, 760), 0, (20, 20))
        assert (pixels[:, :10] == 255).all()
        assert (pixels[8:] == 255).all()
        assert (pixels[:8, 10:] < 250).all()
        assert (slide.read((5000, 5000), 1, (3, 2)) == 255).all()


def test_the_best_level_is_the_coarsest_that_is_fine_enough(written):
    with open_slide(written["generic"]) as slide:
        assert slide.level_downsamples == (1.0, 2.0, 4.0)
        assert [slide.best_level(wanted) for wanted in (0.5, 1, 1.99, 2, 3.9, 4, 100)] == [0, 0, 0, 1, 1, 2, 2]


def test_a_tile_may_be_changed_without_changing_the_slide(written):
    with open_slide(written["aperio"]) as slide:
        before = slide.read((256, 256), 0, (256, 256))
        slide.read((256, 256), 0, (256, 256))[:] = 0
        np.testing.assert_array_equal(slide.read((256, 256), 0, (256, 256)), before)


def test_threads_read_the_same_as_one(written):
    corners = [(x, y) for y in range(0, 700, 50) for x in range(0, 950, 50)]
    for kind in ("aperio", "dicom"):
        with open_slide(written[kind]) as slide, ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda at, s=slide: s.read(at, 0, (70, 70)), corners))
            for corner, pixels in zip(corners, together, strict=True):
                np.testing.assert_array_equal(pixels, slide.read_reference(corner, 0, (70, 70)))


@real_slides
@pytest.mark.parametrize(("path", "direct"), [(SMALL, (0,)), (TCGA, ())])
def test_real_slides_have_openslides_pixels(path, direct):
    rng = np.random.default_rng(1)
    with open_slide(path) as slide, openslide.OpenSlide(path) as reference:
        assert slide.direct_levels == direct
        for level, (width, height) in enumerate(slide.level_dimensions):
            downsample = slide.level_downsamples[level]
            for _ in range(8):
                corner = tuple(int(rng.integers(0, extent - 300) * downsample) for extent in (width, height))
                expected = np.asarray(reference.read_region(corner, level, (300, 260)))
                assert (expected[..., 3] == 255).all()
                np.testing.assert_array_equal(slide.read(corner, level, (300, 260)), expected[..., :3])


def test_a_level_that_decodes_differently_is_left_to_openslide(written, monkeypatch):
    """A TIFF that lies about its colour space, as far as the direct reader is concerned."""
    monkeypatch.setattr("client.prepare.slides.tiff_levels.COLOURS", {2: "YCBCR", 6: "RGB"})
    with open_slide(written["aperio"]) as slide:
        assert slide.direct_levels == ()
        assert_is_openslides(slide.read((100, 100), 0, (50, 50)), written["aperio"], (100, 100), 0)


def damage(path, source, which, change):
    """A copy of `source` in which `change` was made to the bytes of the tile of level 0 that `which` picks by size."""
    with tifffile.TiffFile(source) as tiff:
        tile = which(tiff.pages[0].databytecounts)
        start, count = tiff.pages[0].dataoffsets[tile], tiff.pages[0].databytecounts[tile]
    data = bytearray(source.read_bytes())
    data[start : start + count] = change(bytes(data[start : start + count]))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda tile: bytes(len(tile)),
        lambda tile: tile[: len(tile) // 2] + bytes(len(tile) - len(tile) // 2),
        lambda tile: tile[:700] + bytes(300) + tile[1000:],
        lambda tile: tile[:900] + b"\xff\xd9" + tile[902:],
        lambda tile: b"text" * 300 + tile[1200:],
    ],
    ids=["zeros", "zeros to the end", "zeros within", "ends early", "text"],
)
def test_a_damaged_tile_is_refused_and_never_returned(tmp_path, change):
    whole = write_pyramid(tmp_path / "whole.svs", WHOLE)
    worst = damage(tmp_path / "worst.svs", whole, np.argmax, change)  # it is compared on opening
    with pytest.raises(SlideError, match="got a damaged one .*; copy it again"):
        open_slide(worst)
    other = damage(tmp_path / "other.svs", whole, np.argmin, change)
    with open_slide(other) as slide:
        slide.read((256, 256), 0, (256, 256))
        with pytest.raises(SlideError, match="got a damaged one .*; copy it again"):
            slide.read((0, 0), 0, slide.dimensions)


def test_a_file_cut_short_after_it_was_opened_is_refused(tmp_path):
    path = write_pyramid(tmp_path / "s.svs", WHOLE, downsamples=(1,))
    with open_slide(path) as slide:
        slide.read((0, 0), 0, (256, 256))
        os.truncate(path, path.stat().st_size // 2)
        slide.read((0, 0), 0, (256, 256))  # kept
        with pytest.raises(SlideError, match="damaged"):
            slide.read((768, 512), 0, (256, 256))


@pytest.mark.parametrize("share", [0.001, 0.05, 0.3, 0.6, 0.95, 0.9999])
@pytest.mark.parametrize("kind", ["aperio", "bigtiff", "one level", "lossless"])
def test_a_slide_cut_short_does_not_open(written, tmp_path, kind, share):
    path = slide_files.write_truncated(tmp_path / written[kind].name, written[kind], share)
    with pytest.raises(SlideError, match="expected a (whole slide|tiled TIFF).*copy it again"):
        open_slide(path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.99])
def test_a_dicom_series_cut_short_is_refused(written, tmp_path, share):
    slide_files.write_truncated(tmp_path / "level0.dcm", written["dicom"] / "level0.dcm", share)
    with pytest.raises(SlideError, match="expected "), open_slide(tmp_path) as slide:
        slide.read((700, 500), 0, (256, 256))


def test_a_header_that_claims_impossible_tiles_is_refused(tmp_path):
    path = slide_files.write_single_level(tmp_path / "s.tif", ODD, tile=64)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["TileWidth"].overwrite(2**28)
    with pytest.raises(SlideError, match="got 268435456 x 64; copy the slide again"):
        open_slide(path)
