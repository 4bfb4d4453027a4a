"""Encoders that a site holds as a file under [encoders.NAME]: a pathology foundation model, say."""

import warnings
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from client.prepare.encoders.scaling import TIMM, import_timm, read_config, scaling
from client.prepare.encoders.table import ENCODERS
from client.prepare.encoders.transform import Network, Transform
from client.prepare.encoders.weights import UNREADABLE, is_torchscript, load_weights, read_state
from shared.errors import EncoderError
from shared.site import EncoderFile

__all__ = ["load_foreign"]

SIDE = 224
"""px of the tile with which a model is tried."""
TIMM_HEADS = ("classifier.", "fc.", "head.", "heads.")


def load_foreign(name: str, path: Path, entry: EncoderFile, dim: int) -> tuple[nn.Module, Transform, int]:
    """The model of a file or folder, (B, 3, H, W) -> (B, width), what tiles go through, and the width seen on one tile.

    `path` is a folder (a transformers or timm model: config.json and model.safetensors), a TorchScript program, or a
    file of tensors whose `architecture` the entry names.

    Raises
    ------
    EncoderError
        Not such a file; a package that it needs is missing; a program whose SHA-256 the site file does not write; a
        feature of another width than `dim` (0 takes any).
    """
    mean, std = scaling(name, path, entry)
    if path.is_dir():
        module, side = _from_folder(path)
    elif is_torchscript(path):
        module, side = _torchscript(path, entry), 0
    else:
        module, side = _from_tensors(name, path, entry)
    module = module.eval()
    for parameter in module.parameters():  # a TorchScript module has no requires_grad_
        parameter.requires_grad_(False)
    transform = Transform(mean=mean, std=std, side=side)
    width = _width(name, path, module, transform)
    if dim and width != dim:
        raise EncoderError(
            f"{path}: expected features of {dim} numbers from {name}, as the study says, got {width}; "
            "give the right file, or correct dim in the study"
        )
    return module, transform, width


def _from_tensors(name: str, path: Path, entry: EncoderFile) -> tuple[nn.Module, int]:
    """A network named by `architecture`, and the only side in px it takes (0 = any), with the tensors of `path`."""
    if entry.architecture.startswith(TIMM):
        return _timm(entry.architecture.removeprefix(TIMM), {}, path)
    if entry.architecture not in ENCODERS:
        got = repr(entry.architecture) if entry.architecture else "none"
        raise EncoderError(
            f"{path}: expected a file whose architecture [encoders.{name}] names, got {got}; write a torchvision "
            'model or "timm:NAME" there, or give the folder of a transformers model'
        )
    kind = ENCODERS[entry.architecture]
    module = kind.build()
    load_weights(module, kind, read_state(path), entry.architecture, path)
    return module, kind.transform.side


def _from_folder(path: Path) -> tuple[nn.Module, int]:
    """A model that transformers or timm saved."""
    config = read_config(path)
    if "model_type" in config:
        return _transformers(path, int(config.get("image_size") or 0))
    if "architecture" in config:
        return _timm(config["architecture"], config.get("model_args") or {}, path / "model.safetensors")
    raise EncoderError(
        f"{path}/config.json: expected model_type (transformers) or architecture (timm), got neither; "
        "give the folder of a model of one of the two"
    )


class TokenFeature(nn.Module):
    """A transformers vision model -> one feature a picture: its class token, else its pooled output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.has_token = any(name.endswith("cls_token") for name, _ in model.named_parameters())

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, dim)."""
        hidden, pooled = self.model(pixels, return_dict=False)[:2]
        feature: Tensor = hidden[:, 0] if self.has_token else pooled.flatten(1)
        return feature


def _transformers(path: Path, image_size: int) -> tuple[nn.Module, int]:
    """A model of transformers, and `image_size` where it takes no other."""
    from transformers import AutoModel  # seconds to import

    try:
        model = AutoModel.from_pretrained(path, local_files_only=True, use_safetensors=True).float()
    except UNREADABLE as exc:
        raise EncoderError(
            f"{path}: expected a transformers model with model.safetensors, got one that does not load "
            f"({type(exc).__name__}); save it again with save_pretrained"
        ) from exc
    module = TokenFeature(model).eval()
    try:
        with torch.inference_mode():
            module(torch.zeros(1, 3, SIDE, SIDE))
    except ValueError:  # a model that takes pictures of one size only
        return module, image_size
    return module, 0


def _timm(architecture: str, arguments: dict[str, Any], path: Path) -> tuple[nn.Module, int]:
    """A model of timm without its head, and the only side it takes."""
    timm = import_timm(path, architecture)
    state = {key: value for key, value in read_state(path).items() if not key.startswith(TIMM_HEADS)}
    if any(key.endswith(".ls1.gamma") for key in state):  # layer scale, which timm builds only when told its start
        arguments = {"init_values": 1e-5, **arguments}
    try:
        module: nn.Module = timm.create_model(architecture, pretrained=False, **{**arguments, "num_classes": 0})
        module.load_state_dict(state)
    except UNREADABLE as exc:
        raise EncoderError(
            f"{path}: expected weights of timm's {architecture}, got another model or a name that timm does not "
            "know; correct architecture in the site file"
        ) from exc
    settings = cast(dict[str, Any], getattr(module, "pretrained_cfg", {}))
    fixed = settings.get("fixed_input_size", False) and not arguments.get("dynamic_img_size")
    return module, int(settings["input_size"][-1]) if fixed else 0


def _torchscript(path: Path, entry: EncoderFile) -> nn.Module:
    """A TorchScript program. It runs code, so only where a person wrote which one (weights_sha256 compared it)."""
    if not entry.sha256:
        raise EncoderError(
            f"{path}: expected weights, got a TorchScript program, which runs code on this machine; write its sha256 "
            "into the site file if you trust where it came from, or use a .safetensors file"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, and these files need it
        try:
            module: nn.Module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
        except UNREADABLE as exc:
            raise EncoderError(f"{path}: expected TorchScript, got a damaged file; copy it again") from exc
    return module


def _width(name: str, path: Path, module: nn.Module, transform: Transform) -> int:
    """Numbers in one feature, seen on one tile."""
    side = transform.side or SIDE
    tile = torch.zeros(1, side, side, 3, dtype=torch.uint8)
    try:
        with torch.inference_mode():
            feature = Network(module, transform)(tile)
    except (AttributeError, *UNREADABLE) as exc:
        raise EncoderError(
            f"{path}: expected {name} to turn pictures (1, 3, {side}, {side}) into features (1, dim), got "
            f"{type(exc).__name__}; give a model that does"
        ) from exc
    return int(feature.shape[1])
