"""Several heads: further tasks beside the main one, each on its own slice of the same logits."""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from shared.cohort.batch import Batch, ModelOutput
from shared.study import Head, Study
from shared.tasks.task import Task, task_of

__all__ = ["Loss", "head_output", "loss_of"]

Loss = Callable[[ModelOutput, Batch], Tensor]
"""(what a model returned, its batch) -> the loss of each patient (B,)."""


def loss_of(study: Study) -> Loss:
    """The main task's loss, plus `weight` times that of each head for the patients whose label it knows."""
    main = task_of(study.task)
    heads = [(place, head, task_of(head.task)) for place, head in enumerate(study.heads)]
    if not heads:
        return main.loss

    def loss(output: ModelOutput, batch: Batch) -> Tensor:
        total = main.loss(output, batch)
        for place, head, task in heads:
            total = total + head.weight * _head_loss(task, head_output(output, study, head), batch, place)
        return total

    return loss


def _head_loss(task: Task, output: ModelOutput, batch: Batch, place: int) -> Tensor:
    """The loss of one head (B,), 0 for a patient without its label."""
    y = batch.further_y[:, place]
    labelled = replace(batch, y=y.clamp(min=0), cens=batch.further_cens[:, place])
    return task.loss(output, labelled) * (y >= 0)


def head_output(output: ModelOutput, study: Study, head: Head) -> ModelOutput:
    """What the model returned, its logits (B, C) those of one head; the main task's come first, then head by head."""
    start = study.task.outputs + sum(other.task.outputs for other in study.heads[: study.heads.index(head)])
    return {**output, "logits": output["logits"][:, start : start + head.task.outputs]}
