"""S2's first stage: a YOLO network that finds lesions on clinical images (SEEDS.md section 3, item 1).

The one model with BatchNorm in a trainable part, with a loss that is normalised over its batch, and with pictures as
input: it cannot be trained under record-level privacy (SEEDS.md section 6, row 14).
"""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torchvision.ops import box_convert, nms

from shared.detection.networks import ARCHITECTURE, LARGEST, SMALLEST, build_network
from shared.documents import Document
from shared.models.about import About
from shared.models.inputs import Inputs

__all__ = ["ABOUT", "Options", "Yolo", "build"]

ABOUT = About(
    summary="finds lesions on clinical images; the one model that reads pictures, for task.kind = detection",
    reference="Jocher 2020, YOLOv5, as S2 uses it: J Bone Oncol 55:100718, 2025; ultralytics' anchor-free head",
    takes=("imaging",),
    needs=("imaging",),
)
MOMENTUM = 0.1  # of BatchNorm's running statistics: a round is a few steps, which ultralytics' .03 would hardly follow
LEAST = 0.001  # confidence of a box that is worth scoring
SAME = 0.7  # overlap at which two boxes are one
MOST = 300  # boxes a picture


class Options(Document):
    """`network` is yolov5, yolov8 or yolo11, with its scale n, s, m, l or x; pictures are scaled to `image_size` px."""

    network: Annotated[str, Field(pattern=rf"^{ARCHITECTURE}$")] = "yolov5s"
    image_size: Annotated[int, Field(ge=SMALLEST, le=LARGEST, multiple_of=32)] = 640


class Yolo(nn.Module):
    """The network as the branch `imaging`. In training mode it gives what the loss takes, else boxes."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = MOMENTUM
        for layer in list(network.modules()):  # fixed weights, such as those that decode a box, do not travel
            for name, parameter in list(layer.named_parameters(recurse=False)):
                if not parameter.requires_grad:
                    delattr(layer, name)
                    layer.register_buffer(name, parameter.detach())
        self.branches = nn.ModuleDict({"imaging": network})

    @property
    def network(self) -> Any:
        """Ultralytics' own module."""
        return self.branches["imaging"]

    def forward(self, pictures: Tensor) -> Any:
        """Look at pictures (B, 3, S, S) in [0, 1]."""
        return self.network(pictures)

    def find(self, pictures: Tensor) -> Sequence[tuple[Tensor, Tensor]]:
        """Boxes (k, 4) in px, x0, y0, x1, y1, and their confidences (k,), for each of the pictures (B, 3, S, S)."""
        self.eval()
        with torch.no_grad():
            raw = self(pictures)[0]  # (B, 5, places): centre x and y, width, height, confidence
        return [_distinct(box_convert(part[:4].T, "cxcywh", "xyxy"), part[4]) for part in raw]


def _distinct(boxes: Tensor, confidence: Tensor) -> tuple[Tensor, Tensor]:
    """The boxes that are sure enough, less those that repeat a surer one; the surest first."""
    sure = confidence >= LEAST
    boxes, confidence = boxes[sure], confidence[sure]
    kept = nms(boxes, confidence, SAME)[:MOST]
    return boxes[kept], confidence[kept]


def build(inputs: Inputs, outputs: int, options: Options) -> Yolo:
    """The network with one class, `lesion`; BadInput if ultralytics is not installed."""
    return Yolo(build_network(options.network, outputs))
