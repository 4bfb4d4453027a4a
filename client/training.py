"""One round of training at one site: fresh optimizer, local epochs, the patients' mean loss."""

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from shared.cohort.batch import Batch, ModelOutput
from shared.cohort.patients import Patients
from shared.errors import WorkFailed
from shared.study import Study, Training
from shared.tasks import loss_of

__all__ = ["TrainResult", "inner_optimizer", "pull_back", "train_round"]


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
    correction: Mapping[str, Tensor] | None = None,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
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
    correction
        Added to the gradient of each parameter in every step: SCAFFOLD's c - c_i.
    precision
        Of the forward pass: `bf16` autocasts, `auto` does so on a GPU that has it in hardware. Parameters, losses,
        gradients and the optimizer stay fp32.

    Raises
    ------
    WorkFailed
        A loss was not finite.
    """
    settings, loss = study.training, loss_of(study)
    device = next(iter(parameters.values())).device
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    start = [p.detach().clone() for p in parameters.values()] if proximal_mu else []
    drift = [(parameters[name], value.to(device)) for name, value in (correction or {}).items()]
    optimizer = inner_optimizer(settings, list(parameters.values()), learning_rate)
    generator = torch.Generator().manual_seed(seed)
    batches = _batches(patients, settings, generator)
    if device.type == "cuda":
        batches = _ahead(batches)
    half = _halved(precision, device)
    steps, loss_sum = 0, torch.zeros((), device=device)
    model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if device.type == "cpu":  # without torch's note, for GPUs that nobody uses, of who called: half a millisecond
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)
        for batch in batches:
            batch = batch.to(device)
            output = _in_bf16(model, batch) if half else model(batch)
            losses: Tensor = loss(output, batch) + output["aux_loss"]  # (B,)
            optimizer.zero_grad(set_to_none=True)
            losses.mean().backward()  # type: ignore[no-untyped-call]
            pull_back(parameters, start, proximal_mu)
            for parameter, value in drift:
                if parameter.grad is not None:
                    parameter.grad.add_(value)
            optimizer.step()
            steps, loss_sum = steps + 1, loss_sum + losses.detach().sum()
    total = float(loss_sum)  # looked at once a round: the GPU would wait at every step
    if not math.isfinite(total):
        raise WorkFailed(
            f"expected a finite loss, got {total} within {steps} steps; lower training.learning_rate, "
            "or look for absurd values in this site's tables"
        )
    return TrainResult(steps, total)


def _batches(patients: Patients, settings: Training, generator: torch.Generator) -> Iterator[Batch]:
    """The batches of all local epochs; everything drawn at random is drawn here, in this order."""
    size = settings.batch_size or len(patients)
    for _ in range(settings.local_epochs):
        for index in torch.split(torch.randperm(len(patients), generator=generator), size):
            yield patients.batch(index.numpy(), generator=generator, modality_dropout=settings.modality_dropout)


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, the next one made and pinned by another thread while the GPU computes."""

    def following() -> Batch | None:
        batch = next(batches, None)
        return batch.pinned() if batch is not None and torch.cuda.is_available() else batch

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(following)
        while (batch := coming.result()) is not None:
            coming = thread.submit(following)
            yield batch


def _halved(precision: Literal["auto", "fp32", "bf16"], device: torch.device) -> bool:
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bf16"


def _in_bf16(model: nn.Module, batch: Batch) -> ModelOutput:
    """What the model returns under autocast, with what the loss needs back in fp32."""
    with torch.autocast(batch.present.device.type, torch.bfloat16):
        output: ModelOutput = model(batch)
    return {**output, "logits": output["logits"].float(), "aux_loss": output["aux_loss"].float()}


def inner_optimizer(settings: Training, parameters: list[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    """The study's optimizer, without any state: it is new each round."""
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=learning_rate, weight_decay=settings.weight_decay)
    return torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=settings.weight_decay, fused=True)


def pull_back(parameters: Mapping[str, nn.Parameter], start: list[Tensor], mu: float) -> None:
    """Add the gradient of the proximal term, mu (w - w_global), where `start` is w_global; nothing if it is empty."""
    for parameter, origin in zip(parameters.values(), start, strict=False):
        if parameter.grad is not None:
            parameter.grad.add_(parameter.detach() - origin, alpha=mu)
