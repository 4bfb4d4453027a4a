"""Calibration bins by hand, and against lifelines."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from scipy.stats import binomtest

from shared.metrics import Scored, measure
from simulations.calibration import calibration, kaplan_meier, wilson
from simulations.scores import Scores


def _classified(top: Sequence[float], right: Sequence[bool], first: int = 0) -> Scored:
    """Two classes; class 1 gets probability `top` and is the truth where `right`. Patients count from `first`."""
    p, zeros = np.array(top), np.zeros(len(top))
    y = np.array(right).astype(int)
    who, sites = first + np.arange(len(top)), np.full(len(top), "A")
    return Scored("classification", np.column_stack([1 - p, p]), y, zeros, zeros.astype(int), sites, who=who)


def _survived(time: Sequence[float], event: Sequence[int], alive: Sequence[float]) -> Scored:
    curve = np.column_stack([alive, np.zeros(len(alive))])
    y = (np.array(time) > 12).astype(int)
    return Scored("survival", curve, y, np.array(time, float), np.array(event), np.full(len(time), "A"), (12.0,))


def test_bins_of_probability_add_up_over_folds() -> None:
    first = _classified([0.81] * 4 + [0.95] * 6, [True, True, True, False] + [True] * 6)
    second = _classified([0.85] * 4, [False, True, True, True], first=10)
    found = calibration({"federated": [Scores(first, (), True), Scores(second, (), True)]})["federated"]
    assert set(found) == {"own"}
    bins = found["own"]["bins"]
    assert len(bins) == 15
    assert (bins[12]["n"], bins[12]["reason"]) == (8, None)  # .80 to .867
    assert bins[12]["predicted"] == pytest.approx(0.83)
    assert bins[12]["observed"] == pytest.approx(6 / 8)
    assert bins[12]["low"] < 0.75 < bins[12]["high"]
    assert (bins[14]["n"], bins[14]["observed"]) == (6, 1.0)
    assert sum(each["n"] for each in bins) == 14


def test_the_bins_give_the_calibration_error_of_the_metrics() -> None:
    rng = np.random.default_rng(0)
    top = rng.uniform(0.5, 1, 4000)
    scored = _classified(top.tolist(), (rng.random(4000) < top - 0.1).tolist())
    bins = calibration({"pooled": [Scores(scored, (), True)]})["pooled"]["own"]["bins"]
    gaps = [b["n"] * abs(b["predicted"] - b["observed"]) for b in bins if b["observed"] is not None]
    assert sum(gaps) / 4000 == pytest.approx(float(measure(scored)["ece"][0]), abs=1e-5)


def test_few_patients_are_suppressed() -> None:
    scored = _classified([0.95] * 5 + [0.75] * 4, [True] * 9)
    bins = calibration({"local": [Scores(scored, (), True)]})["local"]["own"]["bins"]
    few, empty, enough = bins[11], bins[0], bins[14]
    assert (few["observed"], few["predicted"], few["reason"]) == (None, None, "fewer than 5 patients")
    assert (empty["n"], empty["reason"]) == (0, "no patients")
    assert enough["observed"] == 1.0


def test_predictions_of_several_models_count_patients_once() -> None:
    one = _classified([0.95] * 8, [True] * 8)
    other = _classified([0.75] * 8, [True] * 8)
    found = calibration({"local": [Scores(one, (one, other), False)]})["local"]["unseen"]
    assert (found["predictions"], found["patients"]) == (16, 8)
    assert [b["n"] for b in found["bins"] if b["n"]] == [4, 4]  # half of eight patients each
    assert {b["reason"] for b in found["bins"]} == {"no patients", "fewer than 5 patients"}


def test_patients_of_several_folds_count_once() -> None:
    fold = Scores(_classified([0.95] * 6, [True] * 6), (), True)
    (one,), (twice,) = ([calibration({"a": folds})["a"]["own"]] for folds in ([fold], [fold, fold]))
    assert one["bins"] == twice["bins"]
    assert (twice["predictions"], twice["patients"]) == (12, 6)


def test_survival_in_groups_of_predicted_survival() -> None:
    rng = np.random.default_rng(1)
    alive = np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 40)
    died = rng.random(200) > alive
    scored = _survived(np.where(died, 6.0, 40.0).tolist(), died.astype(int).tolist(), alive.tolist())
    bins = calibration({"federated": [Scores(scored, (), True)]})["federated"]["own"]["bins"]
    assert [(b["months"], b["group"], b["n"]) for b in bins] == [(12.0, g, 40) for g in range(1, 6)]
    for each, rate in zip(bins, (0.1, 0.3, 0.5, 0.7, 0.9), strict=True):
        assert each["predicted"] == pytest.approx(rate)
        assert each["observed"] == pytest.approx(1 - each["events"] / 40)  # nobody was censored before
        assert each["low"] < each["observed"] < each["high"]


def test_nobody_followed_to_an_edge_is_said() -> None:
    scored = _survived([3.0] * 50, [0] * 50, np.linspace(0.1, 0.9, 50).tolist())
    bins = calibration({"federated": [Scores(scored, (), True)]})["federated"]["own"]["bins"]
    assert {b["observed"] for b in bins} == {None}
    assert {b["reason"] for b in bins} == {"nobody followed that long"}


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=3, max_size=40), st.integers(1, 25))
def test_kaplan_meier_is_that_of_lifelines(rows: list[tuple[int, bool]], month: int) -> None:
    time = np.array([t for t, _ in rows], dtype=float)
    event = np.array([e for _, e in rows], dtype=float)
    alive, low, high = kaplan_meier(time, event, np.ones(len(rows)), month)
    fitter = KaplanMeierFitter().fit(time, event)
    if alive is None:
        assert time.max() < month
        return
    assert alive == pytest.approx(float(fitter.predict(month)))
    if low is not None:
        bounds = fitter.confidence_interval_survival_function_.loc[:month].iloc[-1]
        assert (low, high) == (pytest.approx(bounds.iloc[0]), pytest.approx(bounds.iloc[1]))
    halves = kaplan_meier(np.tile(time, 2), np.tile(event, 2), np.full(2 * len(rows), 0.5), month)
    assert halves == (pytest.approx(alive), None if low is None else pytest.approx(low), high and pytest.approx(high))


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (3, 9), (9, 9)])
def test_wilson_is_that_of_scipy(hits: int, n: int) -> None:
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == (pytest.approx(expected.low, abs=1e-9), pytest.approx(expected.high, abs=1e-9))
