"""Figures are rounded to the side of caution, and no sentence flatters."""

import math
from itertools import product

import pytest

from shared.privacy.report.sentences import (
    certainty,
    left_of,
    may_fail,
    rounded_down,
    rounded_up,
    strength,
)


@pytest.mark.parametrize(
    ("epsilon", "shown"),
    [(3.9700001, "3.98"), (3.97, "3.97"), (4.0, "4.00"), (0.001, "0.01"), (0.0, "0.00"), (1e-300, "0.01")],
)
def test_a_spent_epsilon_is_rounded_up(epsilon: float, shown: str) -> None:
    assert rounded_up(epsilon) == shown


@pytest.mark.parametrize("epsilon", [None, math.inf])
def test_without_a_bound_no_figure_is_shown(epsilon: float | None) -> None:
    assert rounded_up(epsilon) == "no bound"


def test_what_is_left_is_rounded_down_and_adds_up_to_the_cap() -> None:
    assert rounded_down(4.1299) == "4.12"
    for cap, spent in product((8.0, 3.3, 0.1), (0.0, 0.004, 0.0999, 3.2999)):
        shown = float(rounded_up(spent)) + float(left_of(cap, spent))
        assert shown == pytest.approx(max(cap, float(rounded_up(spent))))


@pytest.mark.parametrize(("epsilon", "sure"), [(1, "73 %"), (2, "88 %"), (4, "98 %"), (8, "99.97 %")])
def test_page_one_says_how_sure_somebody_can_become(epsilon: float, sure: str) -> None:
    assert certainty(epsilon) == (f"Someone who is 50 % sure that a patient took part can become at most {sure} sure.")


def test_certainty_is_never_printed_as_100_per_cent() -> None:
    assert "practically certain" in certainty(12.0)
    assert all("100" not in certainty(step / 10) for step in range(0, 300))


@pytest.mark.parametrize("epsilon", [None, math.inf])
def test_without_a_bound_somebody_may_become_completely_sure(epsilon: float | None) -> None:
    assert "completely sure" in certainty(epsilon)


def test_no_epsilon_is_called_strong_and_eight_is_called_weak() -> None:
    assert all("strong" not in strength(epsilon) for epsilon in (0.1, 1, 2, 4, 8, 20))
    assert "weak" in strength(8.0)
    assert "strict" in strength(1.0)
    assert "strict" not in strength(1.01)


def test_delta_is_told_as_a_chance() -> None:
    assert may_fail(1e-5) == "With a probability of about 1 in 100,000 this bound may fail."
