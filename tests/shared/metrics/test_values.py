import json

import numpy as np
import pytest

from shared.metrics import Value, bootstrap_weights, interval, paired_difference, plain_mean, summarise


def test_json_has_the_fields_of_the_contract() -> None:
    value = Value(0.8, 0.7, 0.9, n=40, events=12)
    assert json.loads(json.dumps(value.to_json())) == {
        "value": 0.8,
        "low": 0.7,
        "high": 0.9,
        "sd": None,
        "n": 40,
        "events": 12,
        "from": "patients",
        "reason": None,
    }


def test_a_null_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="expected a reason for a null value"):
        Value(None)
    assert Value(None, reason="one class").to_json()["reason"] == "one class"


def test_nan_is_never_a_value() -> None:
    with pytest.raises(ValueError, match="expected a finite high or None, got nan"):
        Value(0.5, 0.4, float("nan"))


def test_interval_of_finite_draws() -> None:
    low, high = interval(np.concatenate([np.arange(101.0), [np.nan]]))
    assert (low, high) == (2.5, 97.5)
    assert interval(np.full(3, np.nan)) == (None, None)


def test_paired_difference_uses_the_same_draws() -> None:
    a = np.random.default_rng(0).normal(size=200)
    low, high = paired_difference(a + 0.1, a)
    assert (low, high) == (pytest.approx(0.1), pytest.approx(0.1))
    assert paired_difference(a, np.full(200, np.nan)) == (None, None)


def test_bootstrap_rows_draw_n_patients_and_repeat_with_the_seed() -> None:
    weights = bootstrap_weights(50, draws=400, seed=2)
    assert weights.shape == (400, 50)
    assert (weights.sum(axis=1) == 50).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(50), abs=0.25)
    assert np.array_equal(weights, bootstrap_weights(50, draws=400, seed=2))
    assert not np.array_equal(weights, bootstrap_weights(50, draws=400, seed=3))
    assert bootstrap_weights(0, draws=3).shape == (3, 0)


def test_plain_mean_passes_over_null_models() -> None:
    parts = [{"auc": np.array([0.6, np.nan])}, {"auc": np.array([0.8, 0.7])}, {"auc": np.array([np.nan, np.nan])}]
    assert plain_mean(parts)["auc"] == pytest.approx([0.7, 0.7])
    assert np.isnan(plain_mean(parts[2:])["auc"]).all()


def test_summary_of_a_point_and_its_draws() -> None:
    point = {"auc": np.array([0.8]), "mcc": np.array([np.nan])}
    draws = {"auc": np.linspace(0.7, 0.9, 101), "mcc": np.full(101, np.nan)}
    found = summarise(point, draws, n=30, events=None, reasons={"mcc": "one class"})
    assert (found["auc"].value, found["auc"].n, found["auc"].reason) == (0.8, 30, None)
    assert (found["auc"].low, found["auc"].high) == (pytest.approx(0.705), pytest.approx(0.895))
    assert found["mcc"] == Value(None, n=30, reason="one class")


def test_summary_without_draws_has_no_interval() -> None:
    found = summarise({"auc": np.array([0.8])}, None, 30, 4, {}, "statistics")["auc"]
    assert (found.low, found.high, found.source, found.events) == (None, None, "statistics", 4)
