"""Clip, add up, noise, public denominator: by numbers worked out by hand."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shared.privacy.optimizer import PrivateOptimizer


class Ones:
    """Noise that is 1 everywhere, and counts how often it is asked for."""

    def __init__(self) -> None:
        self.draws: list[int] = []

    def standard_normal(self, count: int, device: torch.device) -> Tensor:
        self.draws.append(count)
        return torch.ones(count, device=device)


@pytest.fixture
def weights() -> list[nn.Parameter]:
    return [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1, 1))]


def optimizer_of(weights: list[nn.Parameter], **changes: Any) -> tuple[PrivateOptimizer, Ones]:
    noise = Ones()
    settings = {"sigma": 0.0, "clip": 1.0, "expected_batch": 1.0, "noise": noise, **changes}
    return PrivateOptimizer(torch.optim.SGD(weights, lr=1.0), **settings), noise


def put(weights: list[nn.Parameter], *patients: list[float]) -> None:
    """One patient a row: the two numbers of the first parameter, the one of the second."""
    rows = torch.tensor(patients).reshape(-1, 3)
    weights[0].grad_sample, weights[1].grad_sample = rows[:, :2].clone(), rows[:, 2:, None].clone()


def sums(weights: list[nn.Parameter]) -> list[float]:
    return [*weights[0].grad.tolist(), weights[1].grad.item()]


@pytest.mark.parametrize("chunks", [[2], [1, 1]])
def test_the_norm_is_that_of_all_parameters_together(weights: list[nn.Parameter], chunks: list[int]) -> None:
    optimizer, _ = optimizer_of(weights, clip=3.5)
    patients = [[2.0, 3.0, 6.0], [0.5, 0.0, -1.0]]  # norm 7, halved; norm 1.1, left alone
    optimizer.zero_grad()
    for size in chunks:
        part, patients = patients[:size], patients[size:]
        put(weights, *part)
        optimizer.signal_skip_step(bool(patients))
        optimizer.step()
        if patients:
            optimizer.zero_grad()
    assert sums(weights) == pytest.approx([1.5, 1.5, 2.0], rel=1e-5)
    assert weights[0].detach().tolist() == pytest.approx([-1.5, -1.5], rel=1e-5)


def test_noise_is_sigma_times_clip_and_the_denominator_public(weights: list[nn.Parameter]) -> None:
    optimizer, noise = optimizer_of(weights, sigma=3.0, clip=2.0, expected_batch=4.0)
    for patients in ([], [[0.4, 0.0, 0.0]], [[0.4, 0.0, 0.0]] * 5):
        optimizer.zero_grad()
        put(weights, *patients)
        optimizer.step()
        # (sum + sigma C) / expected batch, however many patients there were
        assert sums(weights) == pytest.approx([(0.4 * len(patients) + 6) / 4, 1.5, 1.5])
    assert noise.draws == [3, 3, 3]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30])
@pytest.mark.parametrize("beside", [0, 2])
def test_a_patient_without_a_finite_gradient_counts_as_zero(
    weights: list[nn.Parameter], value: float, beside: int
) -> None:
    optimizer, _ = optimizer_of(weights, clip=10.0)
    optimizer.zero_grad()
    put(weights, *[[1.0, 2.0, 3.0]] * beside, [value, 0.5, 0.5])
    optimizer.step()
    assert sums(weights) == pytest.approx([1.0 * beside, 2.0 * beside, 3.0 * beside])  # 1e30 squared is no float32


def test_gradients_are_used_once(weights: list[nn.Parameter]) -> None:
    optimizer, _ = optimizer_of(weights)
    optimizer.zero_grad()
    put(weights, [1.0, 0.0, 0.0])
    optimizer.step()
    with pytest.raises(ValueError, match="Gradients haven't been cleared"):
        optimizer.step()
    put(weights, [1.0, 0.0, 0.0])  # new ones, onto a sum that was released
    with pytest.raises(ValueError, match="Gradients haven't been cleared"):
        optimizer.step()


def test_a_parameter_without_gradients_is_an_error(weights: list[nn.Parameter]) -> None:
    optimizer, noise = optimizer_of(weights)
    put(weights, [1.0, 0.0, 0.0])
    weights[1].grad_sample = None
    with pytest.raises(ValueError, match="Per sample gradient is not initialized"):
        optimizer.step()
    put(weights, [1.0, 0.0, 0.0])
    weights[1].grad_sample = torch.zeros(2, 1, 1)
    with pytest.raises(ValueError, match="expected as many patients in every parameter's gradient, got unequal"):
        optimizer.step()
    assert noise.draws == []


def test_an_optimizer_that_failed_forgets_and_refuses(weights: list[nn.Parameter]) -> None:
    optimizer, noise = optimizer_of(weights)
    optimizer.zero_grad()
    put(weights, [1.0, 0.0, 0.0])
    optimizer.signal_skip_step(True)
    optimizer.step()
    assert not optimizer.between_steps
    optimizer.fail()
    assert all(p.grad is None and p.grad_sample is None and p.summed_grad is None for p in weights)
    put(weights, [1.0, 0.0, 0.0])
    with pytest.raises(RuntimeError, match="expected an optimizer whose steps all ended, got one that failed; make"):
        optimizer.step()
    assert noise.draws == []
    assert not any(p.any() for p in weights)


def test_an_inner_adam_sees_the_noisy_mean(weights: list[nn.Parameter]) -> None:
    same = [nn.Parameter(p.detach().clone()) for p in weights]
    inner, plain = (torch.optim.AdamW(each, lr=0.1, fused=True) for each in (weights, same))
    optimizer = PrivateOptimizer(inner, sigma=1.0, clip=1.0, expected_batch=2.0, noise=Ones())
    for value in (0.5, -0.25):
        optimizer.zero_grad()
        put(weights, [value, 0.0, 0.0])
        optimizer.step()
        same[0].grad, same[1].grad = torch.tensor([(value + 1) / 2, 0.5]), torch.tensor([[0.5]])
        plain.step()
    assert all(torch.allclose(a, b) for a, b in zip(weights, same, strict=True))
