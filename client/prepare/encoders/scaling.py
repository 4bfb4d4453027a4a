"""By which mean and deviation a model's pictures are scaled: the site file's, the model's own, or ImageNet's."""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from client.prepare.encoders.table import ENCODERS
from client.prepare.encoders.transform import IMAGENET_MEAN, IMAGENET_STD
from client.prepare.encoders.weights import is_torchscript
from shared.errors import EncoderError
from shared.site import EncoderFile

__all__ = ["TIMM", "Scaling", "import_timm", "read_config", "scaling"]

TIMM = "timm:"
Triple = tuple[float, float, float]
Scaling = tuple[Triple, Triple]
"""Mean and standard deviation of RGB in [0, 1]."""

IMAGENET: Scaling = (IMAGENET_MEAN, IMAGENET_STD)
UNSCALED: Scaling = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def scaling(name: str, path: Path, entry: EncoderFile | None) -> Scaling:
    """How the model `name` of the file or folder `path` wants its pictures, known without loading it.

    What [encoders.NAME] writes goes first, then what the model says of itself: preprocessor_config.json of a
    transformers folder, config.json of a timm folder, timm's own table; then ImageNet's.

    Raises
    ------
    EncoderError
        The model's own file holds something else; timm is needed and missing, or knows the name with several scalings.
    """
    if entry and entry.mean and entry.std:
        return entry.mean, entry.std
    mean, std = _own(name, path, entry) or IMAGENET
    return (entry and entry.mean) or mean, (entry and entry.std) or std


def read_config(path: Path) -> dict[str, Any]:
    """config.json of a model's folder; EncoderError if `path` is no such folder."""
    config = _json(path / "config.json")
    if config is None:
        raise EncoderError(
            f"{path}: expected the folder of a model with config.json and model.safetensors, got another; "
            "give the folder that save_pretrained wrote"
        )
    return config


def import_timm(path: Path, architecture: str) -> ModuleType:
    """The package timm, which builds the model of `path`; EncoderError without it."""
    try:
        return importlib.import_module("timm")
    except ImportError as exc:
        raise EncoderError(
            f"{path}: expected the package timm for {architecture}, got none; pip install timm, or save the encoder "
            "as TorchScript and write its SHA-256 into the site file"
        ) from exc


def _own(name: str, path: Path, entry: EncoderFile | None) -> Scaling | None:
    """What the model says of itself; None if nothing."""
    if path.is_dir():
        config = read_config(path)
        if "model_type" in config:
            return _of_transformers(path / "preprocessor_config.json")
        stated = _stated(config.get("pretrained_cfg") or config, "mean", "std", path / "config.json")
        return stated or (_of_timm(name, str(config["architecture"]), path) if "architecture" in config else None)
    if name in ENCODERS or entry is None or not entry.architecture.startswith(TIMM) or is_torchscript(path):
        return None
    return _of_timm(name, entry.architecture.removeprefix(TIMM), path)


def _of_transformers(path: Path) -> Scaling | None:
    config = _json(path) if path.exists() else {}
    if config is None:
        raise EncoderError(f"{path}: expected settings in JSON, got another file; copy the model again")
    if config.get("do_normalize") is False:
        return UNSCALED
    return _stated(config, "image_mean", "image_std", path)


def _of_timm(name: str, architecture: str, path: Path) -> Scaling | None:
    """What timm's table says of the weights that `architecture` names by its tag (NAME.TAG).

    Without a tag it says which layers there are, not whose weights: UNI is a vit_large_patch16_224 scaled as ImageNet,
    which timm's own weights of that name are not.
    """
    try:
        known = import_timm(path, architecture).get_pretrained_cfg(architecture)
    except RuntimeError:  # a tag that timm does not know, which is refused when the network is built
        return None
    found = known and _stated({"mean": known.mean, "std": known.std}, "mean", "std", path)
    if found and found != IMAGENET and "." not in architecture:
        raise EncoderError(
            f"{path}: expected mean and std in [encoders.{name}], since weights of {architecture} differ in them, got "
            f"none; write those it was trained with, or timm's full name of the weights, such as {architecture}."
            f"{known.tag}"
        )
    return found or None


def _stated(config: Mapping[str, Any], mean: str, std: str, path: Path) -> Scaling | None:
    """The two entries of a model's own settings; None if it has neither."""
    if config.get(mean) is None and config.get(std) is None:
        return None
    try:
        found = [np.asarray(config[key], dtype=float) for key in (mean, std)]
    except (KeyError, TypeError, ValueError):
        found = []
    if len(found) != 2 or any(v.shape != (3,) or not np.isfinite(v).all() for v in found) or (found[1] <= 0).any():
        raise EncoderError(
            f"{path}: expected three numbers each for {mean} and {std}, those of {std} above 0, got others; "
            "copy the model again, or write mean and std into the site file"
        )
    (red, green, blue), (red_std, green_std, blue_std) = (v.tolist() for v in found)
    return (red, green, blue), (red_std, green_std, blue_std)


def _json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None if it holds none."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
