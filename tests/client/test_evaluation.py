"""Scores of a model on patients."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import client.evaluation
from client.evaluation import predict, score_patients
from client.session import Session
from shared.cohort.patients import Patients
from shared.site import read_site
from shared.study import parse_study
from shared.weights import new_model
from tests.federation import tiny_study

STUDY = tiny_study(model={"architecture": "s1_crossattn", "dim": 8, "heads": 2, "dropout": 0.5})


@pytest.fixture(scope="module")
def patients(sites: dict[str, Path]) -> Patients:
    """The twelve test patients of A."""
    return Session(read_site(sites["A"]), tiny_study()).patients(None)[1]


def test_probabilities_of_every_patient(patients: Patients) -> None:
    scores = predict(new_model(STUDY), patients, STUDY)
    assert scores.shape == (12, 3)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-6)


def test_dropout_is_off_and_nothing_is_drawn(patients: Patients) -> None:
    model = new_model(STUDY)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    np.testing.assert_array_equal(predict(model, patients, STUDY), predict(model, patients, STUDY))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_size_of_a_pass_does_not_matter(patients: Patients, monkeypatch: pytest.MonkeyPatch) -> None:
    model = new_model(STUDY)
    whole = predict(model, patients, STUDY)
    monkeypatch.setattr(client.evaluation, "BATCH", 5)
    np.testing.assert_allclose(predict(model, patients, STUDY), whole, atol=1e-6)


def test_predictions_stand_beside_the_truth(patients: Patients) -> None:
    scored = score_patients(np.full((12, 3), 1 / 3), patients, STUDY)
    assert (scored.kind, len(scored), scored.edges) == ("classification", 12, ())
    assert sorted(scored.y.tolist()) == [0] * 4 + [1] * 4 + [2] * 4
    assert set(scored.site) == {"A"}
    assert scored.event.sum() == 0


def test_survival_has_times_and_events(patients: Patients) -> None:
    study = tiny_study()
    content: dict[str, Any] = {**study.content(), "task": {"kind": "survival", "time_edges": [12, 24]}}
    survival = parse_study(content)
    scored = score_patients(np.full((12, 3), 0.5), patients, survival)
    assert (scored.kind, scored.edges) == ("survival", (12.0, 24.0))
    np.testing.assert_array_equal(scored.event, (1 - patients.cens).astype(int))
    assert scored.time.dtype == np.float64
