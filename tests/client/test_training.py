"""Local steps, held against the formulas by hand."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import client.training
from client.session import Session
from client.training import train_round
from shared.cohort.patients import Patients
from shared.errors import WorkFailed
from shared.site import read_site
from shared.study import Study
from shared.tasks import task_of
from shared.weights import new_model, trainable
from tests.federation import tiny_study

NAMES = ["branches.expression.genes.weight", "branches.clinical.clinical.weight", "intercept.weight"]


@pytest.fixture(scope="module")
def patients(sites: dict[str, Path]) -> Patients:
    """The twelve training patients of A."""
    return Session(read_site(sites["A"]), tiny_study()).patients(None)[0]


def full_batch(**training: Any) -> Study:
    """One SGD step over all patients, nothing dropped."""
    plain = {"batch_size": 0, "optimizer": "sgd", "weight_decay": 0.0, "modality_dropout": 0.0}
    return tiny_study(training={**plain, **training})


def train(study: Study, patients: Patients, *, seed: int = 1, held: Any = None, **more: Any) -> tuple[nn.Module, Any]:
    model = new_model(study)
    return model, train_round(model, trainable(model, held), patients, study, learning_rate=0.1, seed=seed, **more)


def gradient(model: nn.Module, patients: Patients, study: Study) -> dict[str, torch.Tensor]:
    """The gradient of the mean loss over all patients."""
    model.requires_grad_(True)
    model.zero_grad()
    batch = patients.batch(range(len(patients)))
    task_of(study.task).loss(model(batch), batch).mean().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_one_full_batch_step_is_gradient_descent(patients: Patients) -> None:
    study = full_batch()
    model, result = train(study, patients)
    expected = gradient(new_model(study), patients, study)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), -0.1 * expected[name], rtol=1e-5, atol=1e-7)
    assert result.steps == 1
    assert result.loss_sum == pytest.approx(12 * np.log(3), rel=1e-6)


def test_the_proximal_term_is_mu_times_the_way_gone(patients: Patients) -> None:
    study = full_batch(local_epochs=2)
    after_one, _ = train(full_batch(), patients)
    second = gradient(after_one, patients, study)
    model, _ = train(study, patients, proximal_mu=3.0)
    start = dict(new_model(study).named_parameters())
    for name, one in after_one.named_parameters():
        # w2 = w1 - rate (g(w1) + mu (w1 - w0)), Li et al. 2020, equation 2
        expected = one - 0.1 * (second[name] + 3.0 * (one - start[name]))
        torch.testing.assert_close(
            dict(model.named_parameters())[name].detach(), expected.detach(), rtol=1e-4, atol=1e-6
        )


def test_a_correction_is_added_to_every_gradient(patients: Patients) -> None:
    study = full_batch()
    correction = {name: torch.full_like(p, 0.5) for name, p in new_model(study).named_parameters()}
    model, _ = train(study, patients, correction=correction)
    expected = gradient(new_model(study), patients, study)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), -0.1 * (expected[name] + 0.5), rtol=1e-5, atol=1e-7)


def test_batches_made_ahead_in_another_thread_give_the_same_bits(
    patients: Patients, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tiny_study(
        model={"architecture": "s1_crossattn", "dim": 8, "heads": 2, "dropout": 0.5},
        training={"batch_size": 5, "local_epochs": 2},
    )
    alone, _ = train(study, patients)
    threads = set()
    batch, one_by_one = Patients.batch, client.training._batches

    def watched(self: Patients, *args: Any, **options: Any) -> Any:
        threads.add(threading.current_thread())
        return batch(self, *args, **options)

    monkeypatch.setattr(Patients, "batch", watched)
    monkeypatch.setattr(client.training, "_batches", lambda *args: client.training._ahead(one_by_one(*args)))
    ahead, result = train(study, patients)
    assert result.steps == 6
    assert len(threads) == 1
    assert threading.main_thread() not in threads
    for one, other in zip(alone.parameters(), ahead.parameters(), strict=True):
        assert torch.equal(one, other)


def test_half_precision_is_close_and_leaves_parameters_as_they_are(patients: Patients) -> None:
    study = tiny_study(model={"architecture": "s1_crossattn", "dim": 8, "heads": 2})
    (full, exact), (half, near) = (train(study, patients, precision=name) for name in ("fp32", "bf16"))
    assert {p.dtype for p in half.parameters()} == {torch.float32}
    assert near.loss_sum == pytest.approx(exact.loss_sum, rel=0.01)
    assert near.loss_sum != exact.loss_sum
    auto, _ = train(study, patients)  # fp32 on a CPU
    assert all(torch.equal(a, b) for a, b in zip(full.parameters(), auto.parameters(), strict=True))


def test_a_loss_that_is_not_finite_fails_the_round_and_names_nobody(patients: Patients) -> None:
    wrong = replace(patients, clinical=np.where(np.arange(len(patients))[:, None] == 3, np.inf, patients.clinical))
    with pytest.raises(WorkFailed, match="^expected a finite loss, got nan within 2 steps; lower") as caught:
        train(tiny_study(), wrong)
    assert not any(case in str(caught.value) for case in patients.case_id)


def test_steps_and_epochs(patients: Patients) -> None:
    study = tiny_study(training={"batch_size": 5, "local_epochs": 3})
    _, result = train(study, patients)
    assert result.steps == 3 * 3  # twelve patients: 5, 5, 2


def test_only_the_given_parameters_change(patients: Patients) -> None:
    model, _ = train(tiny_study(), patients, held=["clinical"])
    start = dict(new_model(tiny_study()).named_parameters())
    changed = [name for name, p in model.named_parameters() if not torch.equal(p, start[name])]
    assert changed == NAMES[1:]


@pytest.mark.parametrize("architecture", ["linear", "s1_crossattn"])
def test_the_seed_alone_decides(patients: Patients, architecture: str) -> None:
    options = {} if architecture == "linear" else {"dim": 8, "heads": 2, "dropout": 0.5}
    study = tiny_study(model={"architecture": architecture, **options})
    bits = []
    for noise, seed in ((5, 1), (6, 1), (6, 2)):
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        model, _ = train(study, patients, seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
        bits.append(b"".join(p.detach().numpy().tobytes() for p in model.parameters()))
    assert bits[0] == bits[1] != bits[2]


def test_dropped_modalities_do_not_train_their_branch(patients: Patients) -> None:
    study = tiny_study(training={"weight_decay": 0.0})
    model, _ = train(study, patients.only(["clinical"]))
    start = dict(new_model(study).named_parameters())
    assert torch.equal(dict(model.named_parameters())[NAMES[0]], start[NAMES[0]])


def test_training_learns(patients: Patients) -> None:
    study = full_batch(local_epochs=30)
    _, result = train(study, patients)
    assert result.loss_sum / 30 < 12 * np.log(3) * 0.9


def test_a_single_patient_is_enough_for_a_step(patients: Patients) -> None:
    model, result = train(tiny_study(), replace(patients.take([0])))
    assert result.steps == 1
    assert all(torch.isfinite(p).all() for p in model.parameters())
