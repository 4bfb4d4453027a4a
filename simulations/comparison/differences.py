"""Differences between runs with 95 % intervals: on the same patients where their folds are the same, else unpaired."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.metrics import interval
from shared.metrics.scored import Floats
from simulations.comparison.runs import Run
from simulations.draws import Draws, Key
from simulations.report.words import main_metrics

__all__ = ["PLACES", "RunDifference", "differences", "others", "why_unpaired"]

PLACES = ("own_site_mean", "unseen")
SHUFFLE = 0  # unpaired draws of two runs of one seed must not move together


@dataclass(frozen=True)
class RunDifference:
    """`run` minus `reference`, for one arm, group of patients and metric; no interval where a run kept no draws."""

    run: str
    reference: str
    arm: str
    where: str
    metric: str
    difference: float
    low: float | None
    high: float | None
    paired: bool


def others(run: Run, reference: Run) -> list[str]:
    """What makes the patients of the two others: cohort and protocol, `other NAME: the reference's vs the run's`."""
    first, second = ((each.metrics.get("pairing") or {}).get("folds") for each in (reference, run))
    if first and first == second:  # the same patients, whatever their folder is called
        return []
    pairs = {
        "cohort": [(each.metrics.get("pairing") or {}).get("source", "") for each in (reference, run)],
        "protocol": [each.metrics["protocol"].get("name", "") for each in (reference, run)],
    }
    found = [f"other {name}: {a} vs {b}" for name, (a, b) in pairs.items() if a and b and a != b]
    everyone = {(each.metrics.get("pairing") or {}).get("everyone", "") for each in (reference, run)}
    if not found and len(everyone - {""}) == 2:
        found.append("other patients or another --split")
    return found


def why_unpaired(run: Run, reference: Run) -> str:
    """Why the two cannot be compared patient by patient; "" where they can."""
    a, b = (each.metrics.get("pairing") or {} for each in (run, reference))
    if not (a.get("folds") and b.get("folds") and run.draws and reference.draws):
        return "a run kept no bootstrap draws"
    if a["folds"] == b["folds"]:
        return ""
    if found := others(run, reference):
        return "; ".join(found)
    drawn = {
        "seed": [each.metrics.get("seed") for each in (reference, run)],
        "folds": [each.metrics["protocol"].get("folds") for each in (reference, run)],
        "repeats": [each.metrics["protocol"].get("repeats") for each in (reference, run)],
        "number of training hospitals": [len(each.metrics["cohort"].get("sites") or {}) for each in (reference, run)],
    }
    found = [f"other {name}: {first} vs {second}" for name, (first, second) in drawn.items() if first != second]
    if found:
        return "; ".join(found)
    return "other patients or labels" if a.get("cohort") != b.get("cohort") else "other folds, repeats or seed"


def differences(runs: Sequence[Run]) -> list[RunDifference]:
    """Every run against the first, for the arms that both have."""
    reference, rows = runs[0], []
    metrics = main_metrics(dict(reference.metrics))
    for run in runs[1:]:
        paired = not why_unpaired(run, reference)
        for arm in run.metrics["arms"]:
            for where in PLACES if arm in reference.metrics["arms"] else ():
                for metric in metrics:
                    found = _difference(run, reference, (arm, where, metric), paired)
                    if found is not None:
                        rows.append(found)
    return rows


def _difference(run: Run, reference: Run, key: Key, paired: bool) -> RunDifference | None:
    arm, where, metric = key
    values = [_value(each, key) for each in (run, reference)]
    if values[0] is None or values[1] is None or _defined_anew(run, reference, key):
        return None
    ends: tuple[float | None, float | None] = (None, None)
    if key in run.draws and key in reference.draws:
        ends = interval(_draws(run.draws[key], reference.draws[key], paired))
    names = (run.name, reference.name, arm, where, metric)
    return RunDifference(*names, values[0] - values[1], *ends, paired)


def _defined_anew(run: Run, reference: Run, key: Key) -> bool:
    """Whether one of the two runs is of before the c-index within sites counted every hospital's pairs."""
    arm, where, metric = key
    if (where, metric) != ("own_site_mean", "c_index_within_site"):
        return False
    return len({"sites" in each.metrics["arms"][arm][where][metric] for each in (run, reference)}) == 2


def _draws(a: Draws, b: Draws, paired: bool) -> Floats:
    """(D,) draws of a - b; those of unpaired runs are put together at random."""
    other = b.draws if paired else np.random.default_rng(SHUFFLE).permutation(b.draws)
    size = min(len(a.draws), len(other))
    found: Floats = a.draws[:size] - other[:size]
    return found


def _value(run: Run, key: Key) -> float | None:
    arm, where, metric = key
    found = ((run.metrics["arms"].get(arm) or {}).get(where) or {}).get(metric) or {}
    return None if found.get("value") is None else float(found["value"])
