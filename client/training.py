"""One round of training at one site: fresh optimizer, local epochs, the patients' mean loss."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shared.cohort.patients import Patients
from shared.study import Study, Training
from shared.tasks import task_of

__all__ = ["TrainResult", "train_round"]


@dataclass(frozen=True)
class TrainResult:
    """What one round did: optimizer steps, and the sum of the patients' losses over all passes."""

    steps: int
    loss_sum: float


def train_round(
    model: nn.Module,
    parameters: Mapping[str, nn.Parameter],
    patients: Patients,
    study: Study,
    *,
    learning_rate: float,
    seed: int,
    proximal_mu: float = 0.0,
) -> TrainResult:
    """Train `parameters` of `model` in place on `patients`.

    The same arguments give the same bits: order, dropped modalities and dropout derive from `seed`.

    Parameters
    ----------
    parameters
        The parameters to change; all others are held fixed.
    learning_rate
        Constant within the round; the schedule runs over rounds, at the coordinator.
    proximal_mu
        Weight of FedProx's term mu/2 ||w - w_global||^2 (Li et al. 2020, equation 2).
    """
    settings, task = study.training, task_of(study.task)
    device = next(iter(parameters.values())).device
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    start = [p.detach().clone() for p in parameters.values()] if proximal_mu else []
    optimizer = _optimizer(settings, list(parameters.values()), learning_rate)
    generator = torch.Generator().manual_seed(seed)
    size = settings.batch_size or len(patients)
    steps, loss_sum = 0, torch.zeros((), device=device)
    model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for _ in range(settings.local_epochs):
            for index in torch.split(torch.randperm(len(patients), generator=generator), size):
                batch = patients.batch(
                    index.numpy(), generator=generator, modality_dropout=settings.modality_dropout
                ).to(device)
                output = model(batch)
                losses: Tensor = task.loss(output, batch) + output["aux_loss"]  # (B,)
                optimizer.zero_grad(set_to_none=True)
                losses.mean().backward()  # type: ignore[no-untyped-call]
                _pull_back(parameters, start, proximal_mu)
                optimizer.step()
                steps, loss_sum = steps + 1, loss_sum + losses.detach().sum()
    return TrainResult(steps, float(loss_sum))


def _optimizer(settings: Training, parameters: list[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=learning_rate, weight_decay=settings.weight_decay)
    return torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=settings.weight_decay, fused=True)


def _pull_back(parameters: Mapping[str, nn.Parameter], start: list[Tensor], mu: float) -> None:
    """Add the gradient of the proximal term, mu (w - w_global)."""
    for parameter, origin in zip(parameters.values(), start, strict=False):
        if parameter.grad is not None:
            parameter.grad.add_(parameter.detach() - origin, alpha=mu)
