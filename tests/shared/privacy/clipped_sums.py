"""The clipped sum of patients' gradients, by hand, and by whatever sets `grad_sample` before an optimizer's step."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from shared.cohort.batch import Batch
from shared.privacy.gradients import Engine, Losses
from shared.privacy.optimizer import PrivateOptimizer
from shared.privacy.step import private_step
from tests.shared.models.cases import alone


class Silence:
    """No noise, so that a step releases the clipped sum itself."""

    def standard_normal(self, count: int, device: torch.device) -> Tensor:
        return torch.zeros(count, device=device)


def private(model: nn.Module, clip: float, **changes: object) -> PrivateOptimizer:
    """An optimizer that leaves the clipped sum in `p.grad` and the parameters where they are."""
    settings = {"sigma": 1.0, "expected_batch": 1.0, "noise": Silence(), **changes}
    return PrivateOptimizer(torch.optim.SGD(model.parameters(), lr=0.0), clip=clip, **settings)


def flat(model: nn.Module) -> Tensor:
    """All gradients in one vector; a parameter without any is all zeros."""
    return torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in model.parameters()])


def one_by_one(model: nn.Module, batch: Batch, losses: Losses) -> list[Tensor]:
    """The gradient of every patient, each taken alone, without padding, by plain backward passes."""
    found = []
    for row in range(len(batch)):
        model.zero_grad()
        single = alone(batch, row)
        losses(model(single), single).sum().backward()
        found.append(flat(model).double())
    model.zero_grad()
    return found


def middle(gradients: list[Tensor]) -> float:
    """A clip between the norms, so that some patients are clipped and some are not."""
    norms = sorted(float(g.norm()) for g in gradients)
    return (norms[0] + norms[-1]) / 2 or 1.0


def clipped_sum(gradients: list[Tensor], clip: float) -> Tensor:
    return sum((g * min(1.0, clip / max(float(g.norm()), 1e-12)) for g in gradients), torch.zeros(1).double())


def stepped(model: nn.Module, batch: Batch, losses: Losses, engine: Engine, clip: float) -> Tensor:
    """The clipped sum of a private step without noise."""
    private_step(model, dict(model.named_parameters()), private(model, clip), batch, losses, engine)
    return flat(model)


def handed(model: nn.Module, optimizer: torch.optim.Optimizer, set_samples: Callable[[], None]) -> Tensor:
    """The clipped sum of an optimizer's step on gradients that `set_samples` puts there."""
    optimizer.zero_grad()
    set_samples()
    optimizer.step()
    return flat(model)


def assert_same(found: Tensor, expected: Tensor) -> None:
    """Within 1e-5 of the norm of all of it."""
    assert found.shape == expected.shape
    difference = float((found.double() - expected).norm())
    assert difference <= 1e-5 * float(expected.norm()) + 1e-12, f"{difference} of {float(expected.norm())}"
