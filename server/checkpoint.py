"""Everything a round depends on, saved after each round: new file, synced, renamed."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from shared.errors import WorkFailed
from shared.weights import Arrays

__all__ = ["Checkpoint", "read_checkpoint", "write_atomically", "write_checkpoint"]

SCHEMA = 1


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after `round` finished rounds."""

    digest: str
    round: int
    arrays: Arrays  # the global model
    gene_statistics: NDArray[np.float64] | None  # (2, U)
    strategy: Arrays = field(default_factory=dict)
    greetings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # site -> version, encoders, buckets
    rounds: list[dict[str, Any]] = field(default_factory=list)  # the round records


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint in `folder` in one step; a crash leaves the old or the new one, never a mixture."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, NDArray[Any]] = {f"model/{name}": array for name, array in checkpoint.arrays.items()}
    tensors |= {f"strategy/{name}": array for name, array in checkpoint.strategy.items()}
    if checkpoint.gene_statistics is not None:
        tensors["gene_statistics"] = checkpoint.gene_statistics
    plain = asdict(Checkpoint(**{**checkpoint.__dict__, "arrays": {}, "strategy": {}, "gene_statistics": None}))
    for name in ("arrays", "strategy", "gene_statistics"):
        del plain[name]
    header = {"schema": str(SCHEMA), "state": json.dumps(plain)}
    new = folder / "latest.new"
    save_file(tensors, new, metadata=header)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(folder / "latest.safetensors")
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_checkpoint(folder: Path, digest: str) -> Checkpoint | None:
    """The checkpoint in `folder`, or None when no round was finished.

    Raises
    ------
    WorkFailed
        The checkpoint belongs to another study or another schema.
    """
    path = folder / "latest.safetensors"
    if not path.is_file():
        return None
    with safe_open(path, framework="np") as file:
        header = file.metadata()
        if header.get("schema") != str(SCHEMA):
            raise WorkFailed(
                f"{path}: expected checkpoint schema {SCHEMA}, got {header.get('schema')}; start a new run"
            )
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    state = json.loads(header["state"])
    if state["digest"] != digest:
        raise WorkFailed(
            f"{path}: expected a checkpoint of study {digest[:12]}, got {state['digest'][:12]}; use another folder"
        )
    return Checkpoint(
        **state,
        arrays={n.removeprefix("model/"): a for n, a in tensors.items() if n.startswith("model/")},
        strategy={n.removeprefix("strategy/"): a for n, a in tensors.items() if n.startswith("strategy/")},
        gene_statistics=tensors.get("gene_statistics"),
    )


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file so that a reader sees the old or the new content, never half of it."""
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
