"""Intervals from counts agree with the bootstrap over patients, and are never much narrower."""

import numpy as np
import pytest

from shared.metrics import Scored, Statistics, bootstrap_weights, interval, measure
from shared.metrics.class_counts import count_classes
from shared.metrics.class_intervals import class_intervals


def scored(classes: int, n: int = 240) -> Scored:
    rng = np.random.default_rng(classes)
    y = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes)) + 1.2 * np.eye(classes)[y]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    zeros = np.zeros(n)
    return Scored("classification", scores, y, zeros, zeros.astype(np.int64), np.full(n, "A"))


@pytest.mark.parametrize("classes", [2, 3])
def test_they_agree_with_the_bootstrap_over_patients(classes: int) -> None:
    patients = scored(classes)
    draws = measure(patients, bootstrap_weights(len(patients), 1000, 1))
    found = class_intervals(Statistics.of(patients).entries)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "mcc"):
        np.testing.assert_allclose(found[name], interval(draws[name]), atol=0.02, err_msg=name)
    for name in ("auc", "pr_auc"):  # a mean over classes that are taken as moving together is wider, never narrower
        (low, high), ours = interval(draws[name]), found[name]
        wider = np.array([low, high], dtype=float) - np.array(ours, dtype=float)
        assert -0.005 < wider[0] < 0.05, name
        assert -0.05 < wider[1] < 0.005, name


def test_counts_of_one_class_or_of_nobody_have_no_interval_of_the_area() -> None:
    patients = scored(2)
    single = patients.take(patients.y == 0)
    found = class_intervals(count_classes_of(single))
    assert found["auc"] == (None, None)
    low, high = np.array(found["accuracy"], dtype=float)
    assert 0.5 < low < high < 1
    nobody = class_intervals({name: np.zeros_like(entry) for name, entry in count_classes_of(single).items()})
    assert nobody["auc"] == nobody["accuracy"] == (None, None)


def count_classes_of(patients: Scored) -> dict[str, np.ndarray]:
    return {name: entry.ravel() for name, entry in count_classes(patients).items()}
