import numpy as np
import pytest

from client.prepare.slides.reinhard import REFERENCE_MEAN, REFERENCE_SD, fit_reinhard
from client.prepare.slides.reinhard import _to_lab as to_lab
from client.prepare.slides.reinhard import _to_rgb as to_rgb
from shared.errors import SlideError

WHITE = np.array([240, 235, 242], np.float32)


def tissue(colours: list[tuple[int, int, int]], seed: int = 0) -> np.ndarray:
    """A tile (80, 80, 3) that mixes `colours` at random, with a little light and dark."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(len(colours)), (80, 80))
    light = rng.uniform(0.85, 1.15, (80, 80, 1))
    return (shares @ np.array(colours, float) * light).clip(0, 255).astype(np.uint8)


PINK = [(205, 110, 170), (120, 70, 150), (220, 150, 190)]


def test_a_grey_pixel_by_hand():
    """RGB 100 gives L = M = S = about 100 (the rows add up to .9996, .9993, .9973), so alpha and beta are near 0."""
    lab = to_lab(np.full((1, 3), 100, np.float32))[0]
    assert lab[0] == pytest.approx(3 * np.log(100) / np.sqrt(3), abs=0.01)
    assert lab[1:].tolist() == pytest.approx([0, 0], abs=0.005)


def test_colours_survive_the_way_there_and_back():
    colours = np.random.default_rng(0).integers(20, 256, (200, 3)).astype(np.float32)
    np.testing.assert_allclose(to_rgb(to_lab(colours)), colours, rtol=0.03, atol=0.5)


def test_mean_and_spread_become_the_reference():
    tile = tissue(PINK)
    fitted = fit_reinhard(tile.reshape(-1, 3), WHITE)
    lab = to_lab(fitted(tile).astype(np.float32)).reshape(-1, 3)
    np.testing.assert_allclose(lab.mean(axis=0), REFERENCE_MEAN, atol=0.03)
    np.testing.assert_allclose(lab.std(axis=0), REFERENCE_SD, rtol=0.15)


def test_two_stainings_of_one_tissue_come_closer():
    first, second = tissue(PINK), tissue([(225, 90, 130), (90, 50, 110), (240, 140, 160)])
    normalised = [fit_reinhard(tile.reshape(-1, 3), WHITE)(tile).astype(int) for tile in (first, second)]
    before, after = np.abs(first.astype(int) - second).mean(), np.abs(normalised[0] - normalised[1]).mean()
    assert after < before / 2


def test_glass_only_loses_its_tint():
    tile = np.concatenate([tissue(PINK), np.broadcast_to(WHITE.astype(np.uint8), (80, 80, 3))])
    drawn = fit_reinhard(tile[:80].reshape(-1, 3), WHITE)(tile)
    assert (drawn[80:] == 255).all()
    assert drawn.dtype == np.uint8


def test_the_same_pixels_give_the_same_bits():
    tile = tissue(PINK)
    first, again = (fit_reinhard(tile.reshape(-1, 3), WHITE) for _ in range(2))
    np.testing.assert_array_equal(first(tile), again(tile))
    np.testing.assert_array_equal(first(tile)[:10, :10], first(tile[:10, :10]))


def test_one_colour_everywhere_is_refused():
    with pytest.raises(SlideError, match="expected tissue of several colours .*, got one colour everywhere; leave"):
        fit_reinhard(np.full((5000, 3), (200, 120, 180), np.uint8), WHITE)
