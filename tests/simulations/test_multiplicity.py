"""p values and their adjustment."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control, norm

from simulations.multiplicity import holm, p_value


def test_p_is_that_of_the_normal_distribution_where_draws_are_normal() -> None:
    draws = np.random.default_rng(0).normal(0.2, 0.1, 100_000)
    assert p_value(draws) == pytest.approx(2 * norm.sf(2.0), rel=0.05)
    assert p_value(-draws) == p_value(draws)


def test_p_is_never_nought_and_never_more_than_one() -> None:
    assert p_value(np.full(999, 0.3)) == pytest.approx(0.002)
    assert p_value(np.array([np.nan, -1.0, 1.0])) == 1.0
    assert p_value(np.zeros(10)) == 1.0
    assert p_value(np.array([np.nan])) is None


def test_holm_adjusts_the_smallest_most() -> None:
    # Holm 1979: 4 x .01, 3 x .02, then never below the one before
    assert holm([0.04, None, 0.01, 0.03, 0.02]) == pytest.approx([0.06, None, 0.04, 0.06, 0.06])
    assert holm([]) == []


def test_holm_is_stricter_than_the_false_discovery_rate_and_no_more_than_bonferroni() -> None:
    values = np.random.default_rng(1).uniform(0, 0.05, 12)
    found = np.array(holm(values.tolist()), dtype=float)
    assert (found >= false_discovery_control(values) - 1e-12).all()
    assert (found <= np.minimum(1, 12 * values) + 1e-12).all()
