"""What differs between runs: settings of their studies, protocols, software, and the patients themselves."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from simulations.comparison.runs import Run

__all__ = ["differing_settings", "same_facts"]

UNSET = "not set"


def differing_settings(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Every setting that is not the same in all runs: its name and its value in each."""
    flat = [_flat(run.study) | _around(run) for run in runs]
    names = sorted({name for one in flat for name in one})
    rows = [(name, [_text(one.get(name)) for one in flat]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def same_facts(runs: Sequence[Run]) -> list[tuple[str, list[str], bool]]:
    """What a reader asks first: name, each run's value, and whether all are the same."""
    rows = [
        ("Study digest", [str(run.metrics["study"].get("digest", ""))[:12] for run in runs]),
        ("Patients and labels", [str((run.metrics.get("pairing") or {}).get("cohort") or "")[:12] for run in runs]),
        ("Patients", [str(run.metrics["cohort"].get("patients", "")) for run in runs]),
        ("Training hospitals", [str(len(run.metrics["cohort"].get("sites") or {})) for run in runs]),
        ("Folds and test patients", [_folds(run) for run in runs]),
        ("Generated data", [", ".join(run.metrics.get("synthetic") or []) or "none" for run in runs]),
    ]
    return [
        (name, [value or "not recorded" for value in values], all(values) and len(set(values)) == 1)
        for name, values in rows
    ]


def _folds(run: Run) -> str:
    folds = (run.metrics.get("pairing") or {}).get("folds") or []
    digests = [digest for repeat in folds for digest in repeat]
    return (
        f"{len(digests)}: {' '.join(digest[:6] for digest in digests[:4])}{' …' * (len(digests) > 4)}" if folds else ""
    )


def _around(run: Run) -> dict[str, Any]:
    """Choices of the run that are not in its study."""
    metrics = run.metrics
    found = {f"run.{key}": metrics["protocol"].get(key) for key in ("folds", "repeats")}
    found |= {f"software.{name}": version for name, version in (metrics.get("software") or {}).items()}
    return found | {"run.arms": list(metrics["arms"]), "run.hospitals": sorted(metrics["cohort"].get("sites") or {})}


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        key = f"{prefix}{name}"
        found |= _flat(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return found


def _text(value: object) -> str:
    if value is None:
        return UNSET
    if isinstance(value, list):
        plain = all(isinstance(part, str | int | float) for part in value)
        text = ", ".join(map(str, value)) if plain else json.dumps(value, sort_keys=True)
        return text if len(text) <= 120 else f"{text[:119]}…"
    return str(value).lower() if isinstance(value, bool) else str(value)
