"""The accountant against published figures, closed forms and an independent implementation."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_ndtr, ndtr

from shared.privacy import accounting
from shared.privacy.accounting import Relation, epsilon, prv_epsilon, rdp_epsilon
from shared.privacy.events import Event

DELTA = 1e-5

# (q, steps) -> target epsilon -> (sigma, replace-one epsilon at that sigma), as the specification prints them
BUDGETS = {
    (0.2, 150): {1: (9.28, 2.1), 4: (2.83, 8.3), 8: (1.68, 15.7)},
    (0.1, 300): {1: (6.59, 2.1), 4: (2.07, 8.0), 8: (1.29, 14.4)},
    (1 / 15, 450): {1: (5.41, 2.1), 4: (1.74, 7.7), 8: (1.12, 13.7)},
    (0.05, 600): {1: (4.69, 2.1), 4: (1.55, 7.5), 8: (1.02, 13.1)},
    (1.0, 30): {1: (20.46, 2.2), 4: (5.93, 9.1), 8: (3.30, 19.0)},
    (1.0, 60): {1: (28.93, 2.2), 4: (8.39, 9.1), 8: (4.66, 19.1)},
}
ROWS = [(*terms, target, *found) for terms, row in BUDGETS.items() for target, found in row.items()]


@pytest.mark.parametrize(("q", "steps", "target", "sigma", "exchanged"), ROWS)
def test_the_typical_budgets_are_reproduced(q: float, steps: int, target: int, sigma: float, exchanged: float) -> None:
    """The printed sigma keeps the target, half a unit of its last digit aside, and .4 % less would not."""
    assert epsilon([Event(q, sigma + 0.005, steps)], DELTA) <= target
    assert epsilon([Event(q, 0.996 * sigma - 0.005, steps)], DELTA) > target
    assert epsilon([Event(q, sigma, steps)], DELTA, "replace_one") == pytest.approx(exchanged, abs=0.1)


def gaussian_delta(eps: float, sigma: float) -> float:
    """Balle and Wang 2018, theorem 8, at sensitivity 1: the exact delta of one Gaussian release."""
    shift = 1 / (2 * sigma)
    return float(ndtr(shift - eps * sigma) - math.exp(eps + log_ndtr(-shift - eps * sigma)))


@pytest.mark.parametrize(("sigma", "steps"), [(0.5, 1), (1.0, 1), (4.0, 1), (3.3, 30), (20.46, 30), (37.4, 100)])
def test_without_sampling_it_is_the_closed_form(sigma: float, steps: int) -> None:
    found = epsilon([Event(1.0, sigma, steps)], DELTA)
    assert gaussian_delta(found, sigma / math.sqrt(steps)) == pytest.approx(DELTA, rel=1e-3)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([Event(1.0, 1.0, 50)], 54.4), ([Event(1.0, 2.0, 50)], 20.7), ([Event(1.0, 4.0, 50)], 8.6),
        ([Event(1 / 15, 1.0, 750)], 13.04),
        ([Event(0.1, 2.07, 900)], 7.4), ([Event(0.1, 2.07, 1200)], 8.8), ([Event(0.1, 2.07, 1500)], 10.0),
    ],
)  # fmt: skip
def test_several_trainings_cost_what_was_measured(events: list[Event], expected: float) -> None:
    assert epsilon(events, DELTA) == pytest.approx(expected, rel=0.007)


def test_nothing_released_costs_nothing() -> None:
    assert epsilon([], DELTA) == epsilon([], DELTA, "replace_one") == prv_epsilon([], DELTA) == 0.0


MIXED = [Event(0.1, 2.0, 100), Event(0.2, 3.0, 50), Event(1.0, 20.0, 10)]


@pytest.mark.parametrize("relation", ["add_remove", "replace_one"])
def test_unequal_releases_compose(relation: Relation) -> None:
    alone = [epsilon([event], DELTA, relation) for event in MIXED]
    together = epsilon(MIXED, DELTA, relation)
    assert max(alone) < together < sum(alone)
    assert together == epsilon(list(reversed(MIXED)), DELTA, relation)


def test_two_unsampled_releases_are_one_of_the_joint_precision() -> None:
    joint = (1 / 4.0**2 + 5 / 9.0**2) ** -0.5
    found = epsilon([Event(1.0, 4.0, 1), Event(1.0, 9.0, 5)], DELTA)
    assert found == pytest.approx(epsilon([Event(1.0, joint, 1)], DELTA), abs=0.005)


@given(parts=st.lists(st.integers(1, 60), min_size=1, max_size=4))
@settings(max_examples=10)
def test_splitting_a_training_into_rounds_changes_nothing(parts: list[int]) -> None:
    rounds = [Event(0.1, 2.0, steps) for steps in parts]
    assert epsilon(rounds, DELTA) == epsilon([Event(0.1, 2.0, sum(parts))], DELTA)


@given(
    q=st.sampled_from([0.02, 0.1, 0.5, 1.0]), sigma=st.floats(0.8, 12), steps=st.integers(1, 300),
    relation=st.sampled_from(["add_remove", "replace_one"]),
)  # fmt: skip
@settings(max_examples=8)
def test_more_steps_cost_more_and_more_noise_costs_less(q: float, sigma: float, steps: int, relation: Relation) -> None:
    here = epsilon([Event(q, sigma, steps)], DELTA, relation)
    assert epsilon([Event(q, sigma, 2 * steps)], DELTA, relation) >= here
    assert epsilon([Event(q, 1.25 * sigma, steps)], DELTA, relation) <= here
    assert epsilon([Event(q, sigma, steps)], DELTA / 10, relation) >= here
    assert epsilon([Event(q, sigma, steps)], DELTA, "replace_one") >= epsilon([Event(q, sigma, steps)], DELTA)


@pytest.mark.parametrize("event", [Event(1.0, 1e-3, 1), Event(0.5, 0.01, 1000), Event(0.2, 1.0, 10**9)])
def test_what_no_site_would_allow_is_told_at_once(event: Event) -> None:
    started = time.perf_counter()
    assert epsilon([event], DELTA) == math.inf
    assert time.perf_counter() - started < 0.1


def test_a_delta_below_what_the_estimate_can_tell_has_no_bound() -> None:
    assert epsilon([Event(0.1, 1.0, 100)], 1e-15) == math.inf


GRID = [
    (q, sigma, steps)
    for q in (0.01, 0.05, 0.1, 0.2, 1.0)
    for sigma in (1.0, 1.5, 2.0, 4.0, 8.0)
    for steps in (60, 300)
]  # fmt: skip


@pytest.mark.parametrize(("q", "sigma", "steps"), GRID[::7])
def test_renyi_divergences_give_a_looser_bound(q: float, sigma: float, steps: int) -> None:
    events = [Event(q, sigma, steps)]
    assert rdp_epsilon(events, DELTA) >= epsilon(events, DELTA) - 0.01


@pytest.mark.slow
def test_an_independent_accountant_agrees_over_fifty_settings() -> None:
    apart = {}
    for q, sigma, steps in GRID:
        events = [Event(q, sigma, steps)]
        apart[q, sigma, steps] = abs(prv_epsilon(events, DELTA) - epsilon(events, DELTA))
    assert len(apart) == 50
    assert max(apart.values()) <= 0.02, max(apart.items(), key=lambda item: item[1])


def test_approximations_that_are_no_bounds_are_not_offered() -> None:
    names = " ".join(accounting.__all__).lower()
    assert "gdp" not in names
    assert "classical" not in names
    # what they would say: less than the tight figure, which is why
    from opacus.accountants import GaussianAccountant

    with pytest.warns(UserWarning, match="can underestimate privacy expenditure"):
        clt = GaussianAccountant()
    clt.history = [(1.0, 1 / 15, 750)]
    assert clt.get_epsilon(DELTA) < epsilon([Event(1 / 15, 1.0, 750)], DELTA) - 0.5
    classical = math.sqrt(2 * math.log(1.25 / DELTA)) / 10.0  # the sigma it asks for epsilon 10
    assert epsilon([Event(1.0, classical, 1)], DELTA) > 10.0
