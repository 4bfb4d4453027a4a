"""One round of a detection study at one site: fresh optimizer, local epochs over the pictures."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from client.detection.augmentation import augmented
from client.detection.pictures import Example
from client.training import TrainResult
from shared.detection.loss import detection_loss
from shared.errors import WorkFailed
from shared.models.yolo import Yolo
from shared.study import Study, Training

__all__ = ["train_round"]

WARM_UP = 6  # steps until a fresh optimizer has its full rate: its first ones go by a single batch
STEEPEST = 10.0  # norm at which a gradient is cut


def train_round(
    model: Yolo, examples: Sequence[Example], study: Study, *, learning_rate: float, seed: int
) -> TrainResult:
    """Train `model` in place; the same arguments give the same bits.

    `loss_sum` is scaled so that it is the mean loss of a picture times patients and local epochs.

    Raises
    ------
    WorkFailed
        A loss was not finite.
    """
    settings, generator = study.training, torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    size = settings.batch_size or len(examples)
    batches = -(-len(examples) // size)
    optimizer = _optimizer(settings, model, learning_rate)
    loss_of = detection_loss(model.network)
    steps, loss_sum = 0, torch.zeros((), device=device)
    model.train()
    for _ in range(settings.local_epochs):
        order = torch.randperm(len(examples), generator=generator)
        for index in torch.tensor_split(order, batches):  # as even as can be: BatchNorm wants no single picture
            pictures, boxes = _batch([examples[i] for i in index.tolist()], generator)
            steps += 1
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * min(1.0, steps / WARM_UP)
            loss = loss_of(model(pictures.to(device)), boxes, pictures.shape[-1])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), STEEPEST)
            optimizer.step()
            loss_sum += loss.detach() * len(index)
    if not torch.isfinite(loss_sum):
        raise WorkFailed("expected a finite loss, got NaN or infinity; the training diverged, lower the learning rate")
    patients = len({example.case_id for example in examples})
    return TrainResult(steps, float(loss_sum) * patients / len(examples))


def _batch(examples: Sequence[Example], generator: torch.Generator) -> tuple[Tensor, list[Tensor]]:
    """Changed pictures (B, 3, S, S) in [0, 1], and the boxes of each."""
    changed = [augmented(example.pixels.float() / 255, example.boxes, generator) for example in examples]
    return torch.stack([picture for picture, _ in changed]), [boxes for _, boxes in changed]


def _optimizer(settings: Training, model: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """Weights decay, biases and the scales of BatchNorm do not."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=learning_rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=learning_rate)
