"""What has been trained: the models in the run folders."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shared.digests import sha256_file
from shared.errors import WorkFailed
from shared.study import Study

__all__ = ["TrainedModel", "latest_run", "list_models", "untrained"]


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


def latest_run(runs: Path, study: Study) -> Path:
    """The run folder of the newest model of `study`; a resumed run keeps the folder of its first start.

    Raises
    ------
    WorkFailed
        No finished run of this study.
    """
    text = study.canonical()
    found = [m.path.parent for m in list_models(runs) if _text(m.path.with_name("study.json")) == text]
    if not found:
        raise WorkFailed(f"expected a model of study {study.name} under {runs}, got none; see `mmfed-server status`")
    return found[-1]


def untrained(folder: Path) -> tuple[str, ...]:
    """The modalities of a finished run's study that no round trained, as its metrics.json says."""
    metrics = json.loads(_text(folder / "metrics.json") or "{}")
    return tuple(metrics.get("inputs", {}).get("untrained", ()))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
