"""Several seeds in one row: the interval is of their mean for other patients, and a seed that failed is told."""

from typing import Any

import numpy as np
import pytest

from simulations.scores import Measured
from simulations.stresses.curve import Line
from simulations.stresses.points import Point
from simulations.stresses.rows import row_of
from simulations.stresses.tables import cells, summary_line

LINE = Line("fedavg", "FedAvg")
CURVE = {"name": "dropout", "lines": [{"name": "fedavg", "words": "FedAvg", "arm": "federated"}]}


def measured(value: float, *, wide: float = 0.1) -> Measured:
    """An AUC whose draw d has the same patients at every seed: evenly from `wide` below the value to above it."""
    draws = np.linspace(value - wide, value + wide, 1001)
    return Measured({"auc": np.array([value])}, {"auc": draws}, {}, 40, None)


def point(own: float, unseen: float | None = None) -> Point:
    places = {"own_site_mean": measured(own)} | ({} if unseen is None else {"unseen": measured(unseen)})
    return Point(places, {"training": 5, "missing": {}, "prepare": []})


def failed(reason: str) -> Point:
    return Point({}, {"failed": reason, "prepare": []})


def row(points: list[Point], untouched: list[Point]) -> dict[str, Any]:
    return row_of(LINE, 0.5, points, untouched, "auc")


def test_draws_of_one_patient_are_averaged_over_seeds_and_sd_is_over_seeds() -> None:
    found = row([point(0.8, 0.5), point(0.6, 0.5)], [point(0.9, 0.5), point(0.7, 0.5)])
    own = found["values"]["own_site_mean"]["auc"]
    assert own["value"] == pytest.approx(0.7)
    assert (own["low"], own["high"]) == (pytest.approx(0.605), pytest.approx(0.795))  # not 0.5 to 0.9, of pooled draws
    assert own["sd"] == pytest.approx(0.02**0.5)  # of 0.8 and 0.6
    assert own["n"] == 40
    change = found["change"]["own_site_mean"]
    assert (change["difference"], change["low"], change["high"]) == pytest.approx((-0.1, -0.1, -0.1))  # paired
    assert cells(CURVE, found, "auc")[2] == "0.700 [0.605–0.795], sd 0.141"
    assert cells(CURVE, row([point(0.8)], [point(0.9)]), "auc")[2] == "0.800 [0.705–0.895]"  # one seed has no sd


def test_a_dose_that_failed_at_one_seed_of_three_has_no_values_and_says_so() -> None:
    reason = "round 4: expected 2 usable replies, got 0 in 3 attempts (A: no reply)"
    found = row([point(0.8), failed(reason), point(0.6)], [point(0.9)] * 3)
    assert found["values"] == {}
    assert found["change"] == {}
    assert (found["failed"], found["failed_seeds"]) == (reason, 1)
    assert cells(CURVE, found, "auc")[-1] == (
        "not trained at 1 of 3 seeds: round 4: expected 2 usable replies, got 0 in 3 attempts"
    )
    assert "not trained at 1 of 3 seeds" in summary_line(CURVE, found, "auc")


def test_every_reason_is_told_where_seeds_fail_differently() -> None:
    found = row([failed("round 4: no quorum (A)"), failed("round 2: no quorum (B)")], [point(0.9)] * 2)
    assert cells(CURVE, found, "auc")[-1] == "not trained at 2 of 2 seeds: round 2: no quorum; round 4: no quorum"


def test_a_place_that_one_seed_lacks_is_left_out_of_the_mean() -> None:
    found = row([point(0.8, 0.7), point(0.6)], [point(0.9, 0.7), point(0.9)])
    assert list(found["values"]) == ["own_site_mean"]


def test_a_dose_without_a_model_at_dose_0_has_values_and_no_change() -> None:
    found = row([point(0.8)], [failed("nobody")])
    assert found["values"]["own_site_mean"]["auc"]["value"] == 0.8
    assert found["change"] == {}
