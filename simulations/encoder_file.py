"""The file of a cohort folder that says which encoder made its features: what becomes [features] of every site file."""

import json
from pathlib import Path

from shared.documents import read_toml
from shared.errors import CohortError
from shared.site import ImportedFeatures

__all__ = ["ENCODER_FILE", "encoder_of", "encoder_toml"]

ENCODER_FILE = Path("features") / "encoder.toml"
"""Of a cohort folder; beside features/slides/, whose files another tool wrote."""


def encoder_of(cohort: Path) -> ImportedFeatures | None:
    """What the cohort's file says; None without it. CohortError lists every fault of the file."""
    path = cohort / ENCODER_FILE
    return read_toml(path, ImportedFeatures, CohortError) if path.is_file() else None


def encoder_toml(features: ImportedFeatures) -> str:
    """The lines of the file, and of a site file's section [features]."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in features.model_dump().items())
