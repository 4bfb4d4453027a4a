"""The encoders that mmfed builds itself: name -> how to build one, how wide its feature is, what its tiles go through.

Everything here is a network of torchvision without its classification layer. A new encoder of another shape is one
entry of `ENCODERS` and one width in shared/encoder_names.py; a model that a site holds as a file is in foreign.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType

import torch
from torch import nn

from client.prepare.encoders.transform import Transform
from shared.encoder_names import ENCODER_WIDTHS

__all__ = ["ENCODERS", "EncoderKind", "seeded", "torchvision_models", "torchvision_network"]

RANDOM_SEED = 0
FIXED_SIDES = {"maxvit_t": 224, "vit_b_16": 224, "vit_b_32": 224, "vit_h_14": 224, "vit_l_16": 224, "vit_l_32": 224}
"""Networks that take one picture size only, which their tiles are brought to."""
LEAST_SIDES = {"alexnet": 63, "densenet": 29, "googlenet": 15, "inception": 75, "squeezenet": 21, "vgg": 32}
"""Family -> the smallest picture, in px, that torchvision's documentation allows."""
TF_WEIGHTS = {"transform_input": True, "aux_logits": False, "init_weights": False}
"""GoogLeNet and Inception: their weights expect [-1, 1], as torchvision's `transform_input` makes it."""


@dataclass(frozen=True)
class EncoderKind:
    """How to build one encoder, and whose weights it takes.

    `build` gives the untrained network, (B, 3, H, W) float32 -> (B, dim); `source` is the torchvision model whose
    weight files fit; `dropped` the prefixes of that model's parameters that a feature does not need.
    """

    build: Callable[[], nn.Module]
    dim: int
    source: str
    dropped: tuple[str, ...]
    transform: Transform = field(default_factory=Transform)


def seeded(kind: EncoderKind) -> nn.Module:
    """The untrained network, the same on every call; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        return kind.build()


def torchvision_network(name: str) -> nn.Module:
    """Torchvision's untrained network `name` up to its feature, (B, 3, H, W) -> (B, width)."""
    family = TF_WEIGHTS if name in ("googlenet", "inception_v3") else {}
    module: nn.Module = torchvision_models().get_model(name, weights=None, **family)
    head_name, head = list(module.named_children())[-1]
    setattr(module, head_name, nn.AdaptiveAvgPool2d(1) if name.startswith("squeezenet") else _without_last(head))
    return module


def torchvision_models() -> ModuleType:
    """Imported when an encoder is built: training reads features only, and its process starts once a message."""
    return import_module("torchvision.models")


def _without_last(head: nn.Module) -> nn.Module:
    """A classification head up to the input of its last layer, which is a feature."""
    return head[:-1] if isinstance(head, nn.Sequential) else nn.Identity()


def _resnet50_layer3() -> nn.Module:
    """ResNet-50 up to its third block and its mean over positions: 1024 numbers, as CLAM (Lu 2021) cuts it."""
    module = torchvision_network("resnet50")
    module.layer4 = nn.Identity()
    return module


def _builder(name: str) -> Callable[[], nn.Module]:
    return lambda: torchvision_network(name)


def _torchvision_kind(name: str, widths: Mapping[str, int]) -> EncoderKind:
    least = next((side for family, side in LEAST_SIDES.items() if name.startswith(family)), 1)
    return EncoderKind(
        build=_builder(name),
        dim=widths[name],
        source=name,
        dropped=("AuxLogits.", "aux1.", "aux2.", "classifier.", "fc.", "head.", "heads."),
        transform=Transform(side=FIXED_SIDES.get(name, 0), least=least),
    )


ENCODERS: dict[str, EncoderKind] = {
    **{name: _torchvision_kind(name, ENCODER_WIDTHS) for name in ENCODER_WIDTHS if name != "resnet50_layer3"},
    "resnet50_layer3": EncoderKind(
        build=_resnet50_layer3,
        dim=ENCODER_WIDTHS["resnet50_layer3"],
        source="resnet50",
        dropped=("layer4.", "fc."),
    ),
}
"""Encoder name -> how to build it."""
