import numpy as np
import openslide
import pytest

from client.prepare.slides import tissue
from client.prepare.slides.tissue import TissueMask, find_tissue, stained


def picture(*colours: tuple[int, int, int]) -> np.ndarray:
    """One row: ten pixels of white glass, then one of each colour."""
    return np.array([[(250, 250, 250)] * 10 + list(colours)], dtype=np.uint8)


@pytest.mark.parametrize("colour", [(210, 130, 190), (240, 215, 230), (90, 60, 140)])
def test_stained_colours_are_tissue(colour):
    assert stained(picture(colour))[0].tolist() == [False] * 10 + [True]


@pytest.mark.parametrize("colour", [(250, 250, 250), (180, 180, 182), (12, 3, 9), (0, 0, 0)])
def test_glass_grey_and_black_are_not_tissue(colour):
    assert not stained(picture(colour)).any()


def test_tinted_glass_is_not_tissue():
    pixels = np.full((20, 20, 3), (225, 250, 232), dtype=np.uint8)  # saturation .10 as it stands
    pixels[:5, :5] = (200, 120, 180)
    assert stained(pixels).sum() == 25


def test_fractions_of_squares():
    mask = TissueMask(np.array([[1, 1, 0, 0], [1, 0, 0, 0]], dtype=bool), scale=10)
    x, y = np.array([0, 20, 0, 10]), np.array([0, 0, 0, 0])
    np.testing.assert_allclose(mask.fraction(x, y, 20), [0.75, 0, 0.75, 0.25])
    np.testing.assert_allclose(mask.fraction(np.array([30]), np.array([10]), 40), [0])  # beyond the border


def test_tissue_of_a_slide_and_block_size_does_not_matter(slide_file, monkeypatch):
    with openslide.OpenSlide(slide_file) as slide:
        mask = find_tissue(slide, mpp=0.5)
        assert mask.scale == 16
        assert mask.pixels.shape == (32, 32)
        np.testing.assert_array_equal(mask.pixels[:, :15], True)
        np.testing.assert_array_equal(mask.pixels[:, 17:], False)
        monkeypatch.setattr(tissue, "BLOCK", 24)
        np.testing.assert_array_equal(find_tissue(slide, mpp=0.5).pixels, mask.pixels)
