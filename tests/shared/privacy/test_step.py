"""One release a step, whatever the batch: chunks, empty batches, patients that cannot be used, exceptions."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shared.cohort.batch import Batch, ModelOutput
from shared.privacy.gradients import Engine
from shared.privacy.noise import ChaCha20
from shared.privacy.optimizer import PrivateOptimizer
from shared.privacy.step import private_step
from tests.shared.models.cases import loss_of, mixed, rows_of

from .clipped_sums import Silence, assert_same, clipped_sum, flat, one_by_one, private

ENGINES = [Engine("loop", 1), Engine("vmap", 1), Engine("vmap", 3), Engine("vmap", 9)]
USE = ("slides", "clinical")
each_engine = pytest.mark.parametrize("engine", ENGINES, ids=str)


class Counted(Silence):
    def __init__(self) -> None:
        self.draws = 0

    def standard_normal(self, count: int, device: torch.device) -> Tensor:
        self.draws += 1
        return super().standard_normal(count, device)


@pytest.fixture
def small(case: Callable[..., tuple[nn.Module, Batch]]) -> tuple[nn.Module, Batch]:
    """A model with two branches, and seven patients of whom some lack a modality."""
    model, batch = case("dp_small", USE, rows=7)
    return model, mixed(batch, USE)


def step(model: nn.Module, optimizer: PrivateOptimizer, batch: Batch, engine: Engine, losses: Any = loss_of) -> None:
    private_step(model, dict(model.named_parameters()), optimizer, batch, losses, engine)


@each_engine
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_noise_and_hook_come_once_a_step(small, engine: Engine, rows: int) -> None:
    model, batch = small
    noise, hooks = Counted(), []
    optimizer = private(model, 1.0, noise=noise)
    optimizer.attach_step_hook(hooks.append)
    for done in (1, 2, 3):
        step(model, optimizer, rows_of(batch, slice(0, rows)), engine)
        assert noise.draws == len(hooks) == done
        assert optimizer.between_steps
        assert not optimizer._step_skip_queue


@each_engine
def test_an_empty_batch_releases_noise_alone(small, engine: Engine) -> None:
    model, batch = small
    optimizer = private(model, 0.5, sigma=4.0, expected_batch=10.0, noise=ChaCha20())
    released = []
    for _ in range(60):
        step(model, optimizer, rows_of(batch, slice(0, 0)), engine)
        released.append(flat(model))
    values = torch.stack(released)  # 60 x some hundred coordinates
    assert float(values.std()) == pytest.approx(4.0 * 0.5 / 10, rel=5 / (2 * values.numel()) ** 0.5)
    assert not torch.equal(released[0], released[1])


@each_engine
def test_a_step_moves_the_parameters_by_the_clipped_sum_over_the_public_denominator(small, engine: Engine) -> None:
    model, batch = small
    own = one_by_one(model, batch, loss_of)
    expected = clipped_sum(own, 0.3)
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    optimizer = PrivateOptimizer(
        torch.optim.SGD(model.parameters(), lr=2.0), sigma=1.0, clip=0.3, expected_batch=16.0, noise=Silence()
    )
    step(model, optimizer, batch, engine)
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    torch.testing.assert_close((before - after).double(), expected * 2 / 16, rtol=1e-4, atol=1e-6)


@each_engine
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_patient_with_absurd_values_counts_as_zero(small, engine: Engine, value: float) -> None:
    model, batch = small
    own = one_by_one(model, batch, loss_of)
    batch.clinical[4], batch.clinical_observed[4] = value, True
    optimizer = private(model, 0.3)
    step(model, optimizer, batch, engine)
    assert_same(flat(model), clipped_sum(own[:4] + own[5:], 0.3))


@each_engine
def test_frozen_parameters_get_neither_gradient_nor_noise(small, engine: Engine) -> None:
    model, batch = small
    trained = {name: p for name, p in model.named_parameters() if name.startswith("head")}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = PrivateOptimizer(
        torch.optim.SGD(trained.values(), lr=1.0), sigma=1.0, clip=1.0, expected_batch=1.0, noise=ChaCha20()
    )
    private_step(model, trained, optimizer, batch, loss_of, engine)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) is (name not in trained)
        assert (parameter.grad is None) is (name not in trained)


def test_what_an_exception_left_in_the_queue_is_refused(small) -> None:
    model, batch = small
    optimizer = private(model, 1.0)
    optimizer.signal_skip_step(True)  # as left by an exception between the signal and the step
    before = [p.detach().clone() for p in model.parameters()]
    for _ in range(2):
        with pytest.raises(RuntimeError, match="expected an optimizer between two steps, got one with an unfinished"):
            step(model, optimizer, batch, ENGINES[0])
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@each_engine
def test_after_any_exception_the_optimizer_is_of_no_more_use(small, engine: Engine, error: type[BaseException]) -> None:
    model, batch = small
    noise = Counted()
    optimizer = private(model, 1.0, noise=noise)
    calls = []

    def losses(output: ModelOutput, batch: Batch) -> Tensor:
        calls.append(1)
        if len(calls) > 1 or engine.chunk == 9:  # in the second chunk, with the first one's sum already there
            raise error("gone")
        return loss_of(output, batch)

    with pytest.raises(error, match="gone"):
        step(model, optimizer, batch, engine, losses)
    assert noise.draws == 0
    assert all(p.grad is None and p.summed_grad is None for p in model.parameters())
    with pytest.raises(RuntimeError, match="make a new one"):
        step(model, optimizer, batch, engine)
