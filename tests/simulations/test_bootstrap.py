"""Draws that belong to patients, classes that keep their share, hospitals that are drawn whole."""

import numpy as np
import pytest

from shared.metrics import Scored, interval, measure
from simulations.adapt import of_fold
from simulations.bootstrap import DRAWS, patient_weights, seed_of, site_weights
from tests.federation import tiny_study


def scored(n: int, seed: int = 0, sites: int = 4) -> Scored:
    """Two classes, predicted a little better than by chance."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    p = np.clip(0.5 + 0.15 * (2 * y - 1) + rng.normal(0, 0.2, n), 0.01, 0.99)
    names = np.array([f"S{i}" for i in rng.integers(0, sites, n)])
    zeros = np.zeros(n)
    return Scored(
        "classification", np.stack([1 - p, p], 1), y, zeros, zeros.astype(int), names, who=rng.permutation(10 * n)[:n]
    )


def test_a_patient_is_drawn_alike_wherever_he_stands() -> None:
    """Up to the common factor of the class, which depends on who else is there."""
    everyone = scored(60)
    rows = np.flatnonzero(everyone.y == 1)
    all_, some = patient_weights(everyone, 3)[:, rows[:10]], patient_weights(everyone.take(rows[:10][::-1]), 3)[:, ::-1]
    np.testing.assert_allclose(all_ / all_.sum(axis=1, keepdims=True), some / some.sum(axis=1, keepdims=True))
    assert not np.array_equal(patient_weights(everyone, 4), patient_weights(everyone, 3))


def test_classes_keep_their_share() -> None:
    patients = scored(60)
    weights = patient_weights(patients, 0)
    for value in (0, 1):
        rows = patients.y == value
        np.testing.assert_allclose(weights[:, rows].sum(axis=1), rows.sum())
    assert weights.mean() == pytest.approx(1.0)
    one = patients.take([int(np.flatnonzero(patients.y == 1)[0])])
    np.testing.assert_array_equal(patient_weights(one, 0), np.ones((DRAWS, 1)))


def test_the_spread_is_that_of_drawing_with_replacement() -> None:
    """Against numpy's multinomial inside each class, on the accuracy of 200 patients."""
    patients, rng = scored(200), np.random.default_rng(1)
    ours = measure(patients, patient_weights(patients, 0))["accuracy"].std()
    plain = np.zeros((DRAWS, 200))
    for value in (0, 1):
        rows = np.flatnonzero(patients.y == value)
        plain[:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), DRAWS)
    assert ours == pytest.approx(measure(patients, plain)["accuracy"].std(), rel=0.1)


def test_repeats_do_not_narrow_the_interval_of_the_same_patients() -> None:
    """The mean over three repeats that test the same people has the interval of one."""
    patients = scored(100)
    studies = [of_fold(tiny_study(), repeat, 0) for repeat in range(3)]
    draws = [measure(patients, patient_weights(patients, seed_of(study)))["accuracy"] for study in studies]
    assert interval(np.mean(draws, axis=0)) == pytest.approx(interval(draws[0]))


def test_a_hospital_is_drawn_whole() -> None:
    patients = scored(60)
    weights = site_weights(patients, 0)
    for site in np.unique(patients.site):
        part = weights[:, patients.site == site]
        np.testing.assert_array_equal(part, part[:, :1].repeat(part.shape[1], axis=1))
    assert weights.sum(axis=1).min() > 0
    many = scored(200, sites=20)
    wide, narrow = (measure(many, draw(many, 0))["accuracy"].std() for draw in (site_weights, patient_weights))
    assert wide > narrow / 2  # 20 hospitals of like patients tell about as much as their patients
