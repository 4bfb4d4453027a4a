"""Weights of a model: their start, which of them travel, and how they enter and leave a model."""

from collections.abc import Collection, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shared.messages import branch_of
from shared.models import build_model
from shared.seeds import derive_seed
from shared.study import Study

__all__ = ["Arrays", "load_arrays", "new_model", "take_arrays", "trainable"]

Arrays = dict[str, NDArray[np.float32]]
"""Arrays under their state_dict names."""


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


def load_arrays(model: nn.Module, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Copy `arrays` into the parameters of the same names."""
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, array in arrays.items():
            parameters[name].copy_(torch.from_numpy(array))


def take_arrays(model: nn.Module, held: Collection[str] | None = None) -> Arrays:
    """The parameters that travel, on the CPU: a CPU model's own memory, so copy what must outlive its next use."""
    return {name: p.detach().cpu().numpy() for name, p in trainable(model, held).items()}
