import numpy as np
import pytest

from client.prepare.slides import overview
from client.prepare.slides.overview import read_overview
from client.prepare.slides.slide import WholeSlide, open_slide
from tests.slide_files import write_pyramid, write_single_level


@pytest.fixture
def read_pixels(monkeypatch):
    """How many pixels were read from slides, in a list of one number."""
    counted, plain = [0], WholeSlide.read

    def read(self, corner, level, size):
        counted[0] += size[0] * size[1]
        return plain(self, corner, level, size)

    monkeypatch.setattr(WholeSlide, "read", read)
    return counted


@pytest.fixture(scope="module")
def islands(tmp_path_factory):
    """A single level of 2048 x 1536 px in tiles of 64: glass with two islands, and faint tissue at a corner."""
    pixels = np.full((1536, 2048, 3), (238, 236, 240), np.uint8)
    pixels[300:420, 500:600] = (200, 120, 180)
    pixels[900:1300, 1200:1800] = (180, 100, 170)
    pixels[-70:, -70:] = (238, 215, 232)
    return write_single_level(tmp_path_factory.mktemp("islands") / "i.tiff", pixels, tile=64)


def test_pixels_are_means_of_the_nearest_finer_level(slide_file):
    with open_slide(slide_file) as slide:  # levels of 1 and 4
        for downsample, scale in ((16, 16), (4, 4), (3.9, 3), (1, 1), (0.3, 1)):
            found = read_overview(slide, downsample)
            assert found.scale == scale
            assert found.pixels.shape == (-(-512 // scale), -(-512 // scale), 3)
        fine = slide.read((0, 0), 1, (128, 128)).reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
        np.testing.assert_allclose(read_overview(slide, 16).pixels, fine, atol=0.51)


def test_blocks_do_not_matter(slide_file, monkeypatch):
    with open_slide(slide_file) as slide:
        whole = read_overview(slide, 8).pixels
        monkeypatch.setattr(overview, "BLOCK", 48)
        np.testing.assert_array_equal(read_overview(slide, 8).pixels, whole)


def test_a_large_slide_gets_larger_pixels(slide_file, monkeypatch):
    monkeypatch.setattr(overview, "MOST_PIXELS", 1000)
    with open_slide(slide_file) as slide:
        found = read_overview(slide, 1)
    assert found.scale == 17
    assert found.pixels.shape == (31, 31, 3)


def test_a_large_level_is_probed_and_nothing_on_the_glass_is_missed(islands, monkeypatch, read_pixels):
    with open_slide(islands) as slide:
        whole = read_overview(slide, 16).pixels
        full, read_pixels[0] = read_pixels[0], 0
        monkeypatch.setattr(overview, "PROBED_ABOVE", 1000)
        probed = read_overview(slide, 16).pixels
    assert full == 2048 * 1536
    assert read_pixels[0] < 0.85 * full
    stained = np.ptp(whole.astype(int), axis=2) > 15
    assert stained.sum() > 900
    np.testing.assert_array_equal(probed[stained], whole[stained])
    assert np.abs(probed.astype(int) - whole)[~stained].max() <= 4


def test_probes_are_tiles_of_the_file(tmp_path, monkeypatch, read_pixels):
    """With tiles of 240 px a factor of 32 would cut tiles; 30 does not."""
    monkeypatch.setattr(overview, "PROBED_ABOVE", 1000)
    bare = write_pyramid(tmp_path / "b.svs", np.full((1920, 1920, 3), 240, np.uint8), downsamples=(1,), tile=240)
    with open_slide(bare) as slide:
        found = read_overview(slide, 32)
    assert found.scale == 30
    assert (found.pixels == 240).all()
    assert read_pixels[0] == 16 * 240 * 240  # a quarter of 64 tiles
