"""What has been trained: the models in the run folders."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shared.digests import sha256_file

__all__ = ["TrainedModel", "list_models"]


@dataclass(frozen=True)
class TrainedModel:
    """The model of one finished run; `finished` is UTC."""

    path: Path
    bytes: int
    sha256: str
    finished: datetime


def list_models(runs: Path) -> list[TrainedModel]:
    """Every `<runs>/<run>/model.safetensors`, oldest first."""
    found = []
    for path in runs.glob("*/model.safetensors"):
        stat = path.stat()
        finished = datetime.fromtimestamp(stat.st_mtime, UTC)
        found.append(TrainedModel(path, stat.st_size, sha256_file(path), finished))
    return sorted(found, key=lambda model: (model.finished, model.path))
