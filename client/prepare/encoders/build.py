"""From an encoder's name to an encoder that runs on this machine."""

import hashlib
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from torch import nn

from client.prepare.encoders.engine import Encoder, Forward
from client.prepare.encoders.foreign import load_foreign
from client.prepare.encoders.openvino_engine import Converted, OpenVinoEngine
from client.prepare.encoders.plan import Plan, plan_compute
from client.prepare.encoders.recipe import recipe_sha256
from client.prepare.encoders.scaling import scaling
from client.prepare.encoders.table import ENCODERS, seeded
from client.prepare.encoders.torch_engine import TorchEngine
from client.prepare.encoders.transform import Transform
from client.prepare.encoders.weights import find_weights, is_torchscript, load_weights, read_state, weights_sha256
from shared.errors import EncoderError
from shared.site import EncoderFile, Site

__all__ = ["build_encoder", "encoder_recipe", "encoder_sha256"]

USUAL_SIDE = 224
"""px of the tiles with which OpenVINO is tried before it is relied on."""


def build_encoder(
    name: str,
    *,
    weights: Literal["pretrained", "random"] = "pretrained",
    file: Path | None = None,
    dim: int = 0,
    site: Site | None = None,
) -> Encoder:
    """Build the encoder that a study calls `name`, as the site's machine runs it best.

    `site` gives [compute] and [encoders.NAME]; without one it is fp32 in torch on the CPU. Weights come from `file`,
    else from [encoders.NAME], else from torchvision's cache or an installed package. `dim` is the width that the
    study states; 0 takes any.

    Raises
    ------
    EncoderError
        Unknown name; no pretrained weights on this machine, or others than the site file's SHA-256 says; a weight file
        of another architecture or width; a device, engine or precision that this machine lacks.
    """
    plan = plan_compute(site.compute if site else None)
    model = _load(name, weights, file, dim, site)
    if plan.engine == "torch" or plan.engine_demanded:
        return _assemble(model, plan)
    try:
        encoder = _assemble(model, plan)
        side = max(USUAL_SIDE, model.transform.least)
        encoder.encode(np.zeros((1, side, side, 3), dtype=np.uint8))
    except EncoderError:  # OpenVINO cannot run this network, and nobody insisted on it
        return _assemble(model, replace(plan, engine="torch"))
    return encoder


def encoder_sha256(
    name: str,
    *,
    weights: Literal["pretrained", "random"] = "pretrained",
    file: Path | None = None,
    dim: int = 0,
    site: Site | None = None,
) -> str:
    """SHA-256 of the weights that `build_encoder` would use, without loading them; same arguments, same refusals."""
    _check_name(name, weights, dim, site)
    if weights == "random":
        return _random_sha256(name)
    return weights_sha256(_path(name, file, site), _entry(name, site))


def encoder_recipe(
    name: str,
    *,
    weights: Literal["pretrained", "random"] = "pretrained",
    file: Path | None = None,
    dim: int = 0,
    site: Site | None = None,
) -> str:
    """SHA-256 of all that decides the features of `build_encoder`, [compute] aside, without loading the weights.

    The weights, how pictures are scaled, the architecture, and the files beside the weights in a model's folder. Same
    arguments and refusals as `build_encoder`.
    """
    _check_name(name, weights, dim, site)
    return _recipe(name, weights, file, site)


@dataclass(frozen=True)
class Model:
    """A network in eval mode, (B, 3, H, W) -> (B, dim), and where it came from."""

    name: str
    dim: int
    sha256: str
    recipe_sha256: str
    body: nn.Module
    transform: Transform

    @cached_property
    def converted(self) -> Converted:
        """For OpenVINO; bf16 and the fp32 that it is held against compile the same one."""
        return Converted(self.body, self.transform)


def _load(name: str, weights: str, file: Path | None, dim: int, site: Site | None) -> Model:
    _check_name(name, weights, dim, site)
    recipe = _recipe(name, weights, file, site)
    if weights == "random":
        body = seeded(ENCODERS[name]).eval().requires_grad_(False)
        return Model(f"{name}:random", ENCODERS[name].dim, _random_sha256(name), recipe, body, ENCODERS[name].transform)
    path, entry = _path(name, file, site), _entry(name, site)
    sha256 = weights_sha256(path, entry)  # before anything of the file is opened
    if name not in ENCODERS or path.is_dir() or is_torchscript(path):
        wanted = ENCODERS[name].dim if name in ENCODERS else dim
        body, transform, width = load_foreign(name, path, entry or EncoderFile(path=str(path)), wanted)
        return Model(name, width, sha256, recipe, body, transform)
    kind = ENCODERS[name]
    body = seeded(kind)
    load_weights(body, kind, read_state(path), name, path)
    mean, std = scaling(name, path, entry)
    transform = replace(kind.transform, mean=mean, std=std)
    return Model(name, kind.dim, sha256, recipe, body.eval().requires_grad_(False), transform)


def _recipe(name: str, weights: str, file: Path | None, site: Site | None) -> str:
    if weights == "random":
        usual = ENCODERS[name].transform
        return recipe_sha256(_random_sha256(name), None, scale=(usual.mean, usual.std))
    path, entry = _path(name, file, site), _entry(name, site)
    return recipe_sha256(
        weights_sha256(path, entry),  # before anything else of a folder is opened
        path if path.is_dir() else None,
        scale=scaling(name, path, entry),
        architecture=entry.architecture if entry else "",
    )


def _assemble(model: Model, plan: Plan) -> Encoder:
    forward: Forward
    if plan.engine == "openvino":
        forward = OpenVinoEngine(model.converted, precision=plan.precision, workers=plan.workers)
    else:
        forward = TorchEngine(model.body, model.transform, device=plan.device, precision=plan.precision)
    return Encoder(
        name=model.name,
        dim=model.dim,
        sha256=model.sha256,
        recipe_sha256=model.recipe_sha256,
        plan=plan,
        forward=forward,
        transform=model.transform,
        in_fp32=(lambda: _assemble(model, replace(plan, precision="fp32"))) if plan.precision == "bf16" else None,
    )


def _check_name(name: str, weights: str, dim: int, site: Site | None) -> None:
    if name in ENCODERS:
        if dim and dim != ENCODERS[name].dim:
            raise EncoderError(
                f"expected dim = {ENCODERS[name].dim}, the width of {name}, got {dim}; correct the study"
            )
    elif weights == "random":
        raise EncoderError(
            f"expected an encoder that mmfed builds itself for random weights, got {name!r}; choose a torchvision model"
        )
    elif _entry(name, site) is None:
        raise EncoderError(
            f"expected a torchvision model, resnet50_layer3, or a model of the site file, got {name!r}; "
            f"correct the name, or write [encoders.{name}] with its path into the site file"
        )


def _entry(name: str, site: Site | None) -> EncoderFile | None:
    return site.encoders.get(name) if site else None


def _path(name: str, file: Path | None, site: Site | None) -> Path:
    """Where the pretrained weights of `name` lie."""
    entry = _entry(name, site)
    if file is not None:
        return file
    if entry is not None and site is not None:
        return site.path(entry.path)
    return find_weights(name, ENCODERS[name].source)


@cache
def _random_sha256(name: str) -> str:
    digest = hashlib.sha256()
    for parameter, value in seeded(ENCODERS[name]).state_dict().items():
        digest.update(parameter.encode() + value.numpy().tobytes())
    return digest.hexdigest()
