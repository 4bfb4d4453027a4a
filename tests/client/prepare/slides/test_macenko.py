import numpy as np
import pytest

from client.prepare.slides.macenko import REFERENCE, REFERENCE_STRENGTH, REFERENCE_WHITE, fit_macenko
from shared.errors import SlideError

WHITE = np.array([240, 235, 242], np.float32)
STAINS = np.array([[0.70, 0.65, 0.30], [0.10, 0.95, 0.30]])
STAINS /= np.linalg.norm(STAINS, axis=1, keepdims=True)


def amounts(side: int = 100) -> np.ndarray:
    """How much of both stains, (side, side, 2): a fifth of the pixels carry one of them almost alone."""
    rng = np.random.default_rng(0)
    drawn = rng.gamma(2.0, 0.35, (side, side, 2))
    drawn[: side // 10, :, 1] = 0.01
    drawn[side // 10 : side // 5, :, 0] = 0.01
    return drawn


def picture(drawn: np.ndarray, stains: np.ndarray, white: np.ndarray) -> np.ndarray:
    return np.rint((white + 1) * np.exp(-drawn @ stains) - 1).clip(0, 255).astype(np.uint8)


def test_stains_and_their_strength_are_recovered():
    drawn = amounts()
    fitted = fit_macenko(picture(drawn, STAINS, WHITE).reshape(-1, 3), WHITE)
    angles = np.degrees(np.arccos((fitted.stains * STAINS).sum(axis=1)))
    assert angles.max() < 3
    expected = np.percentile(drawn.reshape(-1, 2), 99, axis=0)
    np.testing.assert_allclose(fitted.strength, expected, rtol=0.12)


def test_a_picture_is_drawn_again_in_the_stains_of_the_reference():
    drawn = amounts()
    tile = picture(drawn, STAINS, WHITE)
    fitted = fit_macenko(tile.reshape(-1, 3), WHITE)
    scaled = drawn * REFERENCE_STRENGTH / np.percentile(drawn.reshape(-1, 2), 99, axis=0)
    expected = REFERENCE_WHITE * np.exp(-scaled @ REFERENCE)
    assert np.abs(fitted(tile) - expected).mean() < 6
    assert np.abs(tile - expected).mean() > 12


def test_two_stainings_of_one_tissue_come_closer():
    drawn = amounts()
    first = picture(drawn * [0.7, 1.4], STAINS, WHITE)
    second = picture(drawn * [1.3, 0.8], STAINS * np.array([1.15, 0.95, 0.85]), WHITE - 8)
    normalised = [
        fit_macenko(tile.reshape(-1, 3), white)(tile).astype(int)
        for tile, white in ((first, WHITE), (second, WHITE - 8))
    ]
    before, after = np.abs(first.astype(int) - second).mean(), np.abs(normalised[0] - normalised[1]).mean()
    assert after < before / 4


def test_glass_becomes_the_glass_of_the_reference():
    fitted = fit_macenko(picture(amounts(), STAINS, WHITE).reshape(-1, 3), WHITE)
    glass = np.broadcast_to(WHITE.astype(np.uint8), (4, 4, 3))
    assert (fitted(glass) == 240).all()
    assert fitted(glass).dtype == np.uint8


def test_the_same_pixels_give_the_same_bits():
    tile = picture(amounts(), STAINS, WHITE)
    first, again = (fit_macenko(tile.reshape(-1, 3), WHITE) for _ in range(2))
    assert first.stains.tobytes() == again.stains.tobytes()
    np.testing.assert_array_equal(first(tile), again(tile))
    np.testing.assert_array_equal(first(tile)[:10, :10], first(tile[:10, :10]))


def test_one_stain_alone_is_refused():
    drawn = amounts() * [0, 1]
    with pytest.raises(SlideError, match=r"expected two stains for Macenko normalisation, got one .*; leave the slide"):
        fit_macenko(picture(drawn + [0, 0.3], STAINS, WHITE).reshape(-1, 3), WHITE)


def test_glass_alone_is_refused():
    with pytest.raises(SlideError, match="expected at least 500 well stained pixels for Macenko normalisation, got 0"):
        fit_macenko(np.full((5000, 3), 235, np.uint8), WHITE)
