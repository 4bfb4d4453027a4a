"""Means over folds and repeats, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from simulations.averages import average, by_site, difference
from simulations.scores import BySite, Measured, People

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


def people(*who: int, died: tuple[int, ...] = (), sites: tuple[str, ...] = ("A",)) -> People:
    return People(frozenset(who), frozenset(died), frozenset(sites))


def test_who_is_scored_in_several_folds_counts_once() -> None:
    folds = [
        replace(_fold(0.6, n=3, events=2), people=people(1, 2, 3, died=(1, 2))),
        replace(_fold(0.8, n=3, events=2), people=people(2, 3, 4, died=(2, 4))),
    ]
    found = average([folds, folds])["auc"]
    assert (found.n, found.events, found.sites) == (4, 3, None)
    assert "sites" not in found.to_json()


def test_a_mean_over_hospitals_tells_those_that_it_is_of() -> None:
    every = people(1, 2, 3, 4, 5, sites=("A", "B", "C"))
    folds = [
        replace(_fold(0.6), people=every, counted={"auc": people(1, 2, sites=("A",))}),
        replace(_fold(0.8), people=every, counted={"auc": people(2, 4, sites=("A", "C"))}),
        replace(_fold(NAN), people=every),  # no hospital has a value in this fold
    ]
    found = average([folds])["auc"]
    assert (found.n, found.sites, found.to_json()["sites"]) == (3, 2, 2)
    nowhere = average([[replace(_fold(NAN), people=every)]])["auc"]
    assert (nowhere.n, nowhere.sites) == (5, None)


def test_too_few_deaths_are_too_few_a_fold() -> None:
    few = replace(_fold(NAN), reasons={"auc": "fewer than 5 events"})
    assert average([[few]])["auc"].reason == "fewer than 5 events"
    assert average([[few, few]])["auc"].reason == "fewer than 5 events a fold"


def left_out(site: str, value: float, drawn: list[float]) -> BySite:
    """A fold whose one unseen hospital is drawn so often in each draw: whatever is drawn, its own score is the same."""
    counted = {} if np.isnan(value) else {"auc": frozenset([site])}
    return BySite({"auc": np.array([value])}, {"auc": np.full(len(drawn), value)}, np.array(drawn), counted)


def test_where_each_hospital_is_left_out_once_the_folds_are_drawn() -> None:
    folds = [left_out("A", 0.6, [2, 0, 1]), left_out("B", 0.9, [0, 3, 1]), left_out("C", 0.7, [1, 0, 1])]
    found = by_site([[*folds, left_out("D", NAN, [5, 5, 5])]], "auc")
    low, high = np.percentile([(2 * 0.6 + 0.7) / 3, 0.9, (0.6 + 0.9 + 0.7) / 3], [2.5, 97.5])
    assert found == {"low": pytest.approx(low), "high": pytest.approx(high), "sites": 3}
    assert by_site([folds[:2]], "auc") == {"low": None, "high": None, "sites": 2}
