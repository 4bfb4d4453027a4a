"""The least noise for an epsilon: found, enough, and not more than enough."""

import math

import pytest

from shared.privacy.accounting import epsilon
from shared.privacy.calibration import calibrated_sigma
from shared.privacy.events import Event

DELTA = 1e-5


@pytest.mark.parametrize(
    ("target", "q", "steps", "sigma"),
    [(1, 0.2, 150, 9.28), (4, 0.1, 300, 2.07), (4, 0.05, 600, 1.55), (1, 1.0, 30, 20.46), (8, 1.0, 30, 3.30)],
)  # fmt: skip
def test_the_tabulated_noise_is_found(target: float, q: float, steps: int, sigma: float) -> None:
    assert 0.996 * sigma < calibrated_sigma(target, DELTA, q, steps) <= sigma + 0.005


@pytest.mark.parametrize("target", [0.3, 2.0, 12.0])
@pytest.mark.parametrize(("q", "steps"), [(0.05, 100), (1.0, 3)])
def test_it_keeps_the_target_and_a_little_less_would_not(target: float, q: float, steps: int) -> None:
    sigma = calibrated_sigma(target, DELTA, q, steps)
    assert sigma == round(sigma, 4)
    assert epsilon([Event(q, sigma, steps)], DELTA) <= target
    assert epsilon([Event(q, 0.995 * sigma - 2e-4, steps)], DELTA) > target


def test_a_target_that_no_noise_keeps_is_refused() -> None:
    message = "expected an epsilon that some noise can keep, got 1e-06 at delta 1e-12 over 1000000 steps; raise epsilon"
    with pytest.raises(ValueError, match=message):
        calibrated_sigma(1e-6, 1e-12, 1.0, 1_000_000)


def test_an_absurdly_high_target_still_gets_some_noise() -> None:
    assert 0 < calibrated_sigma(1e6, DELTA, 0.1, 300) < 1
    assert math.isfinite(calibrated_sigma(1e6, DELTA, 0.1, 300))
