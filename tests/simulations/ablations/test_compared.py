"""Means, spreads and paired differences of an ablation's rows."""

import numpy as np
import pytest

from shared.metrics import Scored
from simulations.ablations.compared import Compared, draw_cohort
from simulations.ablations.predictions import Predicted

WEIGHTS = draw_cohort(12, seed=0)


def predicted(rows: list[int], right: list[int]) -> Predicted:
    """Two classes that alternate by row; a patient of `right` is given the own class with .9, else the other one."""
    y = np.array([row % 2 for row in rows], dtype=np.int64)
    sure = np.where(np.isin(rows, right), 0.9, 0.1)
    scores = np.where(np.arange(2) == y[:, None], sure[:, None], 1 - sure[:, None])
    nothing = np.zeros(len(rows))
    site = np.full(len(rows), "A")
    scored = Scored("classification", scores, y, nothing, nothing.astype(np.int64), site)
    return Predicted(scored, np.array(rows, dtype=np.int64))


def test_a_mean_and_its_spread_are_over_seeds() -> None:
    rows = list(range(8))
    row = Compared((predicted(rows, rows), predicted(rows, rows[:4])), WEIGHTS)
    value = row.values()["accuracy"]
    assert value.value == pytest.approx(0.75)
    assert value.sd == pytest.approx(np.std([1.0, 0.5], ddof=1))
    assert value.n == 8


def test_folds_are_averaged_within_a_seed_before_seeds_are_compared() -> None:
    folds = [list(range(6)), list(range(6, 12))]
    right = [(0, [0, 1, 2]), (1, [6, 7, 8, 9, 10, 11]), (0, []), (1, [6, 7, 8])]  # .75 on average, then .25
    parts = tuple(predicted(folds[fold], cases) for fold, cases in right)
    row = Compared(parts, WEIGHTS, seeds=(0, 0, 1, 1))
    value = row.values()["accuracy"]
    assert row.points["accuracy"] == pytest.approx([0.75, 0.25])
    assert value.value == pytest.approx(0.5)
    assert value.sd == pytest.approx(np.std([0.75, 0.25], ddof=1))
    assert value.n == 12
    full = Compared(tuple(predicted(folds[fold], folds[fold]) for fold in (0, 1, 0, 1)), WEIGHTS, seeds=(0, 0, 1, 1))
    change = row.minus(full)["accuracy"]
    assert change.n == 12
    assert change.found.difference == pytest.approx(-0.5)


def test_the_same_patients_scored_by_three_seeds_are_no_more_patients() -> None:
    one = predicted(list(range(10)), [0, 1, 2, 3, 4, 5])
    single, triple = (
        Compared((one,), WEIGHTS).values()["accuracy"],
        Compared((one, one, one), WEIGHTS).values()["accuracy"],
    )
    assert (single.low, single.high) == (triple.low, triple.high)
    assert single.low is not None
    assert single.high is not None
    assert single.low < 0.6 < single.high


def test_a_difference_is_taken_on_the_patients_that_both_score() -> None:
    full = Compared((predicted(list(range(12)), list(range(6))),), WEIGHTS)
    part = Compared((predicted(list(range(6)), [0, 1, 2]),), WEIGHTS)
    found = part.minus(full)["accuracy"]
    assert found.n == 6
    assert found.found.difference == pytest.approx(-0.5)  # 3 of 6 against 6 of 6; over all 12 it would be 0
    assert found.found.high is not None
    assert found.found.high <= 0


def test_the_order_of_patients_does_not_matter_to_a_difference() -> None:
    rows = list(range(10))
    a = Compared((predicted(rows, [0, 1, 2, 3]),), WEIGHTS)
    b = Compared((predicted(rows[::-1], [0, 1, 2, 3]),), WEIGHTS)
    found = a.minus(b)["accuracy"].found
    assert (found.difference, found.low, found.high) == pytest.approx((0.0, 0.0, 0.0))


def test_rows_without_a_common_patient_have_no_difference() -> None:
    a, b = (Compared((predicted(rows, rows),), WEIGHTS) for rows in ([0, 1, 2], [3, 4, 5]))
    assert a.minus(b) == {}


def test_a_metric_that_no_seed_can_measure_is_null_with_its_reason() -> None:
    row = Compared((predicted([0, 2, 4], [0, 2, 4]),), WEIGHTS)
    value = row.values()["auc"]
    assert (value.value, value.reason) == (None, "one class")
