"""The loss of a YOLO network: box, class and distribution terms as ultralytics computes them."""

from collections.abc import Callable, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_convert

from shared.detection.contained import contained

__all__ = ["detection_loss"]

GAINS = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5)
"""Weights of the terms, ultralytics' defaults."""


def detection_loss(network: Any) -> Callable[[Any, Sequence[Tensor], int], Tensor]:
    """A function of the network's output, the drawn boxes (m, 4) of each picture and the pictures' side in px.

    It gives one number: the terms are normalised over the boxes of the whole batch, so no picture has its own share.
    """
    with contained():
        network.args = GAINS
        criterion = import_module("ultralytics.utils.loss").v8DetectionLoss(network)

    def loss(output: Any, boxes: Sequence[Tensor], side: int) -> Tensor:
        count = torch.tensor([len(part) for part in boxes])
        every = torch.cat(list(boxes)) / side
        targets = {
            "batch_idx": torch.repeat_interleave(torch.arange(len(boxes)), count),
            "cls": torch.zeros(len(every)),
            "bboxes": box_convert(every, "xyxy", "cxcywh"),
        }
        terms, _ = criterion(output, targets)
        mean: Tensor = terms.sum() / len(boxes)  # ultralytics multiplies by the number of pictures
        return mean

    return loss
