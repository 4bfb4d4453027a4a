"""One row of the stain-shift experiment: signature, own, unseen and gap of a setting, and what changed against none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.metrics import interval
from simulations.scores import Measured

__all__ = ["METRIC", "Found", "Z", "row_of"]

METRIC = "auc"
Z = 1.96
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """One setting on one cohort."""

    signature: Mapping[str, float]  # of `stain_signature`
    pairs: Sequence[tuple[Measured, Measured]]  # own and unseen of the same patients, a fold and half of the hospitals


def row_of(name: str, table: Mapping[str, Sequence[Found]], reference: str) -> dict[str, Any]:
    """The row of one setting.

    Means over cohorts, folds and halves. Intervals of scores are 95 % of a bootstrap over patients, those of the
    signature are analytic; `sd` is over cohorts. A change is the setting less `reference`, paired by patient.
    """
    own, unseen = _draws(table[name], 0), _draws(table[name], 1)
    gap, before = own - unseen, _draws(table[reference], 0) - _draws(table[reference], 1)
    signature = [found.signature for found in table[name]]
    aucs = np.array([part["within_class_auc"] for part in signature])
    first = np.array([found.signature["within_class_auc"] for found in table[reference]])
    half = Z * float(np.sqrt(np.sum([part["se"] ** 2 for part in signature]))) / len(signature)
    return {
        "setting": name,
        "signature": {
            "value": float(aucs.mean()),
            "low": max(0.0, float(aucs.mean()) - half),
            "high": min(1.0, float(aucs.mean()) + half),
            "sd": _sd(aucs),
            "cohorts": aucs.tolist(),
        },
        "null": float(np.mean([part["null"] for part in signature])),
        "all_pairs_auc": float(np.mean([part["auc"] for part in signature])),
        "balanced_accuracy": float(np.mean([part["balanced_accuracy"] for part in signature])),
        "own": _value(own) | {"n": sum(d[0].n for found in table[name] for d in found.pairs)},
        "unseen": _value(unseen) | {"n": sum(d[1].n for found in table[name] for d in found.pairs)},
        "gap": _value(gap),
        "change": None
        if name == reference
        else {
            "signature": {"value": float((aucs - first).mean()), "cohorts": (aucs - first).tolist()},
            "unseen": _value(unseen - _draws(table[reference], 1)),
            "gap": _value(gap - before),
        },
    }


def _draws(found: Sequence[Found], where: int) -> Floats:
    """(cohorts, 1 + D): the mean over folds and halves of the score and of its bootstrap draws."""
    return np.array(
        [
            np.mean([np.concatenate([d[where].point[METRIC], d[where].draws[METRIC]]) for d in part.pairs], axis=0)
            for part in found
        ]
    )


def _value(rows: Floats) -> dict[str, Any]:
    low, high = interval(rows[:, 1:].mean(axis=0))
    return {
        "value": float(rows[:, 0].mean()),
        "low": low,
        "high": high,
        "sd": _sd(rows[:, 0]),
        "cohorts": rows[:, 0].tolist(),
    }


def _sd(values: Floats) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None
