"""YOLO networks by name: built from ultralytics' own descriptions, or opened from a .pt file."""

import pickle
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from shared.detection.contained import contained
from shared.errors import SiteFileError

__all__ = ["ARCHITECTURE", "LARGEST", "SMALLEST", "build_network", "description", "unpickled_network"]

ARCHITECTURE = r"yolo(v5|v8|11)[nsmlx]"
"""Names of the architectures that ultralytics builds from its own description."""
SMALLEST, LARGEST = 64, 1280
"""Sides of pictures in px that a network may be trained on; 32 divides them."""

NOT_A_MODEL = (
    *(AttributeError, EOFError, ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError),
    pickle.UnpicklingError,
)
"""What ultralytics and torch raise for a .pt file that holds no network of theirs."""


def build_network(architecture: str, classes: int, state: Path | None = None) -> Any:
    """The untrained network, in evaluation mode, with weights of torch's current random state."""
    with contained(state), torch.device("cpu"):  # ultralytics looks at values while it builds
        tasks = import_module("ultralytics.nn.tasks")
        return tasks.DetectionModel(description(architecture), nc=classes, verbose=False).eval()


def unpickled_network(path: Path, state: Path) -> Any:
    """The network of a .pt file, whose SHA-256 was checked: opening it runs code.

    Raises
    ------
    SiteFileError
        The file holds no detector of ultralytics.
    """
    with contained(state):
        tasks = import_module("ultralytics.nn.tasks")
        try:
            model, _ = tasks.load_checkpoint(path)
        except NOT_A_MODEL as exc:
            raise SiteFileError(
                f"{path}: expected a detector saved by ultralytics, got another file ({type(exc).__name__}); "
                "give one that ultralytics itself opens"
            ) from exc
        if not isinstance(model, tasks.DetectionModel):
            raise SiteFileError(f"{path}: expected a detector, got {type(model).__name__}; give one for task detect")
        return model


def description(architecture: str) -> dict[str, Any]:
    """What ultralytics builds the architecture from, read from its own package, inside `contained`.

    Read by the family's file and given its scale here: from the name of a scaled one ultralytics takes the scale
    away, and takes it from the first folder on the way that looks like one (`6s`) where there is such a folder.
    """
    package = Path(str(import_module("ultralytics").__file__)).parent
    family = re.sub(r"(\d)[nsmlx]$", r"\1", architecture)
    (found,) = (package / "cfg" / "models").glob(f"*/{family}.yaml")
    drawn: dict[str, Any] = import_module("ultralytics.nn.tasks").yaml_model_load(found)
    return {**drawn, "scale": architecture[-1], "yaml_file": f"{architecture}.yaml"}
