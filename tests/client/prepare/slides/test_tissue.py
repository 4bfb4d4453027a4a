import numpy as np
import pytest

from client.prepare.slides import tissue
from client.prepare.slides.tissue import TissueMask, drop_specks, fill_holes, find_tissue, white_of

WHITE = np.full(3, 250, np.float32)
ROUGH = 200.0  # um a pixel: too coarse for morphology to do anything


def tissue_of(colour: tuple[int, int, int], white=WHITE) -> np.ndarray:
    return find_tissue(np.full((1, 1, 3), colour, dtype=np.uint8), white, ROUGH)


@pytest.mark.parametrize("colour", [(210, 130, 190), (240, 215, 230), (90, 60, 140)])
def test_stained_colours_are_tissue(colour):
    assert tissue_of(colour).all()


@pytest.mark.parametrize("colour", [(250, 250, 250), (180, 180, 182), (12, 3, 9), (0, 0, 0)])
def test_glass_grey_and_black_are_not_tissue(colour):
    assert not tissue_of(colour).any()


def test_white_is_the_tint_of_the_glass():
    pixels = np.full((20, 20, 3), (225, 250, 232), dtype=np.uint8)  # saturation .10 as it stands
    pixels[:5, :5] = (200, 120, 180)
    assert white_of(pixels).tolist() == [225, 250, 232]
    assert find_tissue(pixels, white_of(pixels), ROUGH).sum() == 25


def test_white_is_never_dark():
    assert white_of(np.full((4, 4, 3), (120, 40, 210), np.uint8)).tolist() == [200, 200, 210]


def test_fractions_of_squares():
    mask = TissueMask(np.array([[1, 1, 0, 0], [1, 0, 0, 0]], dtype=bool), scale=10)
    x, y = np.array([0, 20, 0, 10]), np.array([0, 0, 0, 0])
    np.testing.assert_allclose(mask.fraction(x, y, 20), [0.75, 0, 0.75, 0.25])
    np.testing.assert_allclose(mask.fraction(np.array([30]), np.array([10]), 40), [0])  # beyond the border


def test_holes_are_filled_by_size_but_not_bays():
    mask = np.ones((7, 9), dtype=bool)
    mask[1, 1] = mask[3:5, 4:6] = mask[6, 7] = False  # 1 px, 4 px, and 1 px at the border
    assert fill_holes(mask, 3).sum() == 63 - 4 - 1
    assert fill_holes(mask, 4).sum() == 63 - 1
    assert fill_holes(mask, 0.5).sum() == mask.sum()


def test_specks_are_dropped_by_size():
    mask = np.zeros((5, 9), dtype=bool)
    mask[1, 1] = mask[1:3, 4:7] = True
    assert drop_specks(mask, 1).sum() == 7
    assert drop_specks(mask, 2).sum() == 6
    assert drop_specks(mask, 7).sum() == 0


@pytest.mark.parametrize("um", [4.0, 8.0])
def test_sizes_are_in_um(um):
    """A vessel of 40 um and a cleft of 16 um belong to the tissue, an opening of 160 um and a speck of 32 um do not."""

    def px(length):
        return round(length / um)

    pixels = np.full((px(800), px(800), 3), 245, dtype=np.uint8)
    pixels[px(80) : px(640), px(80) : px(640)] = (200, 120, 180)
    pixels[px(160) : px(200), px(160) : px(200)] = 245
    pixels[px(240) : px(256), px(80) : px(640)] = 245
    pixels[px(400) : px(560), px(400) : px(560)] = 245
    pixels[px(700) : px(732), px(700) : px(732)] = (200, 120, 180)
    found = find_tissue(pixels, np.full(3, 245, np.float32), um)
    expected = np.zeros(found.shape, dtype=bool)
    expected[px(80) : px(640), px(80) : px(640)] = True
    expected[px(400) : px(560), px(400) : px(560)] = False
    # closing rounds the corners of the cleft and of the opening
    assert (found != expected).sum() * um**2 < 1200


def test_strips_do_not_matter(monkeypatch):
    pixels = np.random.default_rng(0).integers(100, 255, (50, 30, 3), dtype=np.uint8)
    whole = find_tissue(pixels, WHITE, 8.0)
    monkeypatch.setattr(tissue, "STRIP", 7)
    np.testing.assert_array_equal(find_tissue(pixels, WHITE, 8.0), whole)
