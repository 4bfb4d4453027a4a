"""Weights of a model: their start, which of them travel, and how they enter and leave a model."""

from collections.abc import Collection, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.messages import branch_of
from shared.models import build_model, skeleton
from shared.models.inputs import Inputs
from shared.seeds import derive_seed
from shared.study import Study

__all__ = [
    "Arrays",
    "is_running",
    "keeps_layers",
    "load_arrays",
    "local_names",
    "message_size",
    "new_model",
    "take_arrays",
    "trainable",
    "travelling",
]

Arrays = dict[str, NDArray[np.float32]]
"""Arrays under their state_dict names."""

NORMALISATION = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)
RUNNING = ("running_mean", "running_var")
HEADS = frozenset({"head", "intercept"})
"""Names of the last layers: of a linear model all but the intercept is shared."""


def is_running(name: str) -> bool:
    """Whether this state_dict name is a running mean or variance of BatchNorm: averaged, but no parameter."""
    return name.rsplit(".", 1)[-1] in RUNNING


def new_model(study: Study) -> nn.Module:
    """The study's model with its initial weights, which derive from the digest alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(study.digest, "weights"))
        return build_model(study)


def trainable(model: nn.Module, held: Collection[str] | None = None) -> dict[str, nn.Parameter]:
    """The parameters that travel: those of the `held` branches, and always `fusion`. None = all branches."""
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if held is None or branch_of(name) in held or branch_of(name) == "fusion"
    }


def travelling(model: nn.Module, held: Collection[str] | None = None) -> dict[str, Tensor]:
    """What is sent: the trainable parameters, and the running means and variances of BatchNorm, if there is any."""
    running = {name: buffer for name, buffer in model.named_buffers() if is_running(name)}
    kept = {n: b for n, b in running.items() if held is None or branch_of(n) in held or branch_of(n) == "fusion"}
    return {**trainable(model, held), **kept}


def message_size(study: Study) -> int:
    """How many numbers one full update holds: those of the model, and as many parameters again with SCAFFOLD."""
    model = new_model(study)
    count = sum(value.numel() for value in travelling(model).values())
    return count + (sum(p.numel() for p in trainable(model).values()) if study.federation.strategy == "scaffold" else 0)


def local_names(model: nn.Module, strategy: str) -> frozenset[str]:
    """What a site keeps its own of, whatever the average says: it scores and trains with its own values.

    Running statistics of BatchNorm always; with `fedbn` the parameters of every normalisation layer too (Li et al.
    2021, FedBN), with `fedper` those of the heads (Arivazhagan et al. 2019, FedPer). They are averaged like all else,
    for hospitals that never trained.
    """
    running = {name for name, _ in model.named_buffers() if is_running(name)}
    parameters = [name for name, _ in model.named_parameters()]
    if strategy == "fedbn":
        layers = {name for name, module in model.named_modules() if isinstance(module, NORMALISATION)}
        return frozenset(running | {name for name in parameters if name.rsplit(".", 1)[0] in layers})
    if strategy == "fedper":
        return frozenset(running | {name for name in parameters if HEADS & set(name.split("."))})
    return frozenset(running)


def keeps_layers(
    architecture: str,
    options: Mapping[str, bool | int | float | str],
    modalities: tuple[str, ...],
    outputs: int,
    strategy: str,
) -> bool:
    """Whether `strategy` keeps any layer of a study's model at the sites; its widths need not be known yet."""
    least = Inputs(modalities, slides=1, max_patches=1, genes=1, groups=((0,),), blood=1, imaging=2, clinical=1)
    return bool(local_names(skeleton(architecture, least, outputs, options), strategy))


def load_arrays(model: nn.Module, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Copy `arrays` into the parameters and running statistics of the same names."""
    targets = travelling(model)
    with torch.no_grad():
        for name, array in arrays.items():
            targets[name].copy_(torch.from_numpy(array))


def take_arrays(model: nn.Module, held: Collection[str] | None = None) -> Arrays:
    """What is sent, on the CPU: a CPU model's own memory, so copy what must outlive its next use."""
    return {name: value.detach().cpu().numpy() for name, value in travelling(model, held).items()}
