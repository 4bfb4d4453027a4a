"""A finished run as a comparison reads it: its settings, its scores, its bootstrap draws."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import BadInput
from simulations.draws import FILE, Draws, Key, read_draws

__all__ = ["Run", "read_runs"]

NEEDED = ("schema", "study", "protocol", "cohort", "arms")
TASK = ("kind", "column", "classes", "time_column", "event_column")
"""What makes two tasks one: the same question, asked of the same column."""


@dataclass(frozen=True, eq=False)
class Run:
    """One run folder; `name` tells it from the others."""

    name: str
    folder: Path
    metrics: Mapping[str, Any]
    study: Mapping[str, Any]  # study.toml
    draws: Mapping[Key, Draws]  # {} of a run that kept none

    @property
    def task(self) -> dict[str, Any]:
        """The parts of the task that say what is predicted."""
        told = self.study.get("task") or {}
        return {key: told[key] for key in TASK if key in told}


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Every run, in the given order.

    Raises
    ------
    BadInput
        Fewer than two folders, one given twice, no folder of a simulation, or runs of different tasks.
    """
    if len(folders) < 2:
        raise BadInput(f"expected at least two run folders, got {len(folders)}; name those to compare")
    seen = [folder.resolve() for folder in folders]
    twice = next((str(folder) for folder, path in zip(folders, seen, strict=True) if seen.count(path) > 1), None)
    if twice:
        raise BadInput(f"{twice}: expected every run folder once, got it twice; name different runs")
    plain = [path.name for path in seen]
    runs = [
        _read(folder, path.name if plain.count(path.name) == 1 else str(folder))
        for folder, path in zip(folders, seen, strict=True)
    ]
    for run in runs[1:]:
        if run.task != runs[0].task:
            raise BadInput(
                f"{run.folder}: expected a run of the task of {runs[0].folder} ({_told(runs[0])}), got {_told(run)}; "
                "compare runs that predict the same"
            )
    return runs


def _read(folder: Path, name: str) -> Run:
    try:
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        study = tomllib.loads((folder / "study.toml").read_text(encoding="utf-8"))
    except OSError as exc:
        missing = "metrics.json" if not (folder / "metrics.json").is_file() else "study.toml"
        what = f"a folder without {missing}" if folder.is_dir() else "no folder"
        raise BadInput(f"{folder}: expected the folder of a finished run, got {what}; check the path") from exc
    except ValueError as exc:
        raise BadInput(
            f"{folder}: expected metrics.json and study.toml of a finished run, got a damaged file; run it again"
        ) from exc
    lacking = [key for key in NEEDED if not isinstance(metrics, dict) or key not in metrics]
    if lacking:
        raise BadInput(
            f"{folder}: expected the run folder of a simulation, got metrics.json without {', '.join(lacking)}; "
            "name folders that simulations/run.py made"
        )
    return Run(name, folder, metrics, study, read_draws(folder / FILE))


def _told(run: Run) -> str:
    return ", ".join(
        f"{key} {', '.join(map(str, value)) if isinstance(value, list) else value}" for key, value in run.task.items()
    )
