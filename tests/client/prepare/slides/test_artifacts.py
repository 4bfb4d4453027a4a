import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from client.prepare.slides import tissue
from client.prepare.slides.artifacts import find_black, find_bubbles, find_pen
from client.prepare.slides.tissue import white_of
from simulations.synthetic.looks import EOSIN, HAEMATOXYLIN, draw_look
from simulations.synthetic.nuclei import Morphology
from simulations.synthetic.slides import render_slide

WHITE = np.full(3, 245, np.float32)
UM = 8.0
FINDERS = (find_pen, find_black, find_bubbles)


def stroke(colour: tuple[int, int, int], width: int = 40) -> np.ndarray:
    """Glass of 100 x 100 px with a horizontal stroke, `width` px wide and 80 px long."""
    pixels = np.full((100, 100, 3), 245, np.uint8)
    pixels[40 : 40 + width, 10:90] = colour
    return pixels


@pytest.mark.parametrize(
    "colour",
    [(30, 80, 190), (80, 130, 220), (20, 140, 70), (120, 200, 140), (30, 130, 130), (235, 25, 30)],
    ids=["blue", "light blue", "green", "light green", "teal", "red"],
)
def test_ink_is_found_and_nothing_beside_it(colour):
    expected = (stroke(colour) != 245).any(axis=2)
    found = find_pen(stroke(colour), WHITE, UM)
    assert not (found & ~expected).any()
    assert found.sum() > 0.97 * expected.sum()
    assert not find_black(stroke(colour), WHITE, UM).any()


@pytest.mark.parametrize(
    "colour",
    [
        (60, 40, 120),
        (50, 60, 140),
        (20, 30, 95),
        (225, 90, 150),
        (230, 60, 120),
        (205, 70, 100),
        (180, 30, 45),
        (150, 20, 30),
        (130, 80, 40),
        (80, 50, 35),
    ],
    ids=["nuclei", "bluish nuclei", "heavy", "eosin", "deep eosin", "red cells", "blood", "clot", "DAB", "melanin"],
)
def test_stains_and_pigments_are_not_artifacts(colour):
    assert not any(find(stroke(colour), WHITE, UM).any() for find in FINDERS)


def test_pure_stains_of_any_hospital_are_not_artifacts():
    """Large even fields of haematoxylin and eosin, up to three times as strong as usual."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        haematoxylin, eosin = (vector * np.exp(rng.normal(0, 0.1, 3)) for vector in (HAEMATOXYLIN, EOSIN))
        for amounts in ((1, 0.2), (2, 0), (3, 0), (0.2, 1), (0, 3), (2, 2)):
            colour = np.exp(-amounts[0] * haematoxylin - amounts[1] * eosin) * 245
            pixels = np.full((30, 30, 3), colour, np.uint8)
            assert not find_pen(pixels, WHITE, UM).any()


def test_synthetic_slides_have_no_artifacts():
    for seed in range(2):
        look = draw_look(np.random.SeedSequence([7, seed]))
        slide = render_slide(Morphology(level=seed, oligo=0.3), look, np.random.SeedSequence(seed)).pixels
        small = np.asarray(Image.fromarray(slide).reduce(16))
        assert not any(find(small, white_of(small), UM).any() for find in FINDERS)


def test_a_thin_line_of_dye_is_no_pen():
    assert not find_pen(stroke((20, 140, 70), width=4), WHITE, UM).any()  # 32 um


def test_black_is_found_at_the_border_and_inside():
    pixels = stroke((15, 15, 18))
    pixels[:, :6] = 0
    expected = (pixels != 245).any(axis=2)
    found = find_black(pixels, WHITE, UM)
    assert not (found & ~expected).any()
    assert found.sum() > 0.95 * expected.sum()
    assert not find_black(stroke((15, 15, 18), width=4), WHITE, UM).any()


def bubble(inside, rim=(110, 110, 112), radius: int = 25, gap: bool = False) -> np.ndarray:
    """Noisy tissue of 100 x 100 px with a disc of `inside` behind a rim of 3 px."""
    rng = np.random.default_rng(1)
    texture = gaussian_filter(rng.normal(0, 1, (100, 100, 1)), (1, 1, 0)) * 60
    pixels = np.clip(np.array([200, 120, 180]) + texture, 0, 255).astype(np.uint8)
    y, x = np.mgrid[:100, :100] - 50
    distance = np.hypot(x, y)
    if inside is not None:
        pixels[distance < radius] = inside
    pixels[(distance >= radius) & (distance < radius + 3) & ~(gap & (np.abs(y) < 5))] = rim
    return pixels


def test_a_bubble_is_found_with_its_rim():
    found = find_bubbles(bubble((225, 170, 210)), WHITE, UM)
    y, x = np.mgrid[:100, :100] - 50
    assert found[np.hypot(x, y) < 24].all()
    assert not found[np.hypot(x, y) > 34].any()


@pytest.mark.parametrize(
    "pixels",
    [
        bubble(None),
        bubble((225, 170, 210), rim=(120, 60, 150)),
        bubble((225, 170, 210), radius=9),
        bubble((225, 170, 210), gap=True),
    ],
    ids=["a circle around tissue", "a follicle", "small", "open"],
)
def test_what_only_resembles_a_bubble_stays(pixels):
    assert not find_bubbles(pixels, WHITE, UM).any()


def test_strips_do_not_matter(monkeypatch):
    pixels = bubble((225, 170, 210))
    pixels[5:20, 5:60] = (20, 140, 70)
    whole = [find(pixels, WHITE, UM) for find in FINDERS]
    assert whole[0].any()
    assert whole[2].any()
    monkeypatch.setattr(tissue, "STRIP", 7)
    for find, expected in zip(FINDERS, whole, strict=True):
        np.testing.assert_array_equal(find(pixels, WHITE, UM), expected)
