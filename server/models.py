"""What has been trained: the run folders and their models."""

import json
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TrainedModel", "list_models"]


@dataclass(frozen=True)
class TrainedModel:
    """One finished run."""

    run: str
    study: str
    digest: str
    size: int
    path: Path
