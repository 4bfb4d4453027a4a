"""Means over folds and repeats, by hand."""

import numpy as np
import pytest

from simulations.averages import average, difference
from simulations.scores import Measured

NAN = float("nan")


def _fold(point: float, draws: list[float] | None = None, n: int = 10, events: int | None = None) -> Measured:
    reasons = {"auc": "one class"} if np.isnan(point) else {}
    return Measured({"auc": np.array([point])}, {"auc": np.array(draws or [point] * 4)}, reasons, n, events)


def test_folds_are_averaged_and_sd_is_over_repeats() -> None:
    found = average([[_fold(0.6, n=10), _fold(0.8, n=12)], [_fold(0.5), _fold(0.7)]])["auc"]
    assert found.value == pytest.approx(0.65)
    assert found.sd == pytest.approx(np.sqrt(2 * 0.05**2))  # of .7 and .6
    assert found.n == 22  # one repeat's folds
    assert found.source == "patients"


def test_one_repeat_has_no_sd() -> None:
    found = average([[_fold(0.6), _fold(0.8)]])["auc"]
    assert (found.value, found.sd) == (pytest.approx(0.7), None)


def test_draws_are_averaged_over_folds_before_the_percentiles() -> None:
    found = average([[_fold(0.5, [0.0, 1.0]), _fold(0.5, [1.0, 0.0])]])["auc"]
    assert (found.low, found.high) == (0.5, 0.5)  # the percentiles of all four draws would be 0 and 1


def test_a_fold_without_a_value_counts_for_nothing() -> None:
    found = average([[_fold(NAN), _fold(0.8)], [_fold(0.6), _fold(NAN)]])["auc"]
    assert found.value == pytest.approx(0.7)
    assert found.reason is None


def test_null_everywhere_keeps_the_reason() -> None:
    found = average([[_fold(NAN, n=3), _fold(NAN, n=4)]])["auc"]
    assert (found.value, found.low, found.high, found.sd) == (None, None, None, None)
    assert (found.n, found.reason) == (7, "one class")


def test_events_are_added_over_one_repeats_folds() -> None:
    found = average([[_fold(0.6, events=5), _fold(0.8, events=6)], [_fold(0.6, events=9), _fold(0.8, events=9)]])["auc"]
    assert found.events == 11


def test_a_difference_is_paired_draw_by_draw() -> None:
    a = [[_fold(0.8, [0.7, 0.9]), _fold(0.6, [0.5, 0.7])]]
    b = [[_fold(0.5, [0.4, 0.6]), _fold(0.5, [0.4, 0.6])]]
    found = difference(a, b, "auc")
    assert found is not None
    assert found.difference == pytest.approx(0.2)
    assert (found.low, found.high) == (pytest.approx(0.2), pytest.approx(0.2))  # unpaired it would be -.1 to .5


def test_a_difference_is_averaged_over_repeats() -> None:
    found = difference([[_fold(0.8)], [_fold(0.6)]], [[_fold(0.5)], [_fold(0.5)]], "auc")
    assert found is not None
    assert found.difference == pytest.approx(0.2)


@pytest.mark.parametrize("metric", ["auc", "c_index"])
def test_no_difference_without_values(metric: str) -> None:
    assert difference([[_fold(NAN)]], [[_fold(0.5)]], metric) is None
