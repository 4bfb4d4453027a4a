"""How a model divides its attention among gene groups, modalities and prototypes, averaged over patients."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from simulations.attention.lesion_check import tile_shares
from simulations.attention.patients import AttendedPatient

__all__ = ["mean_weights", "prototype_use"]


def mean_weights(
    patients: Sequence[AttendedPatient], name: str, parts: Sequence[str], kinds: Sequence[str]
) -> dict[str, Any] | None:
    """Mean weight of each of `parts` over the patients of each kind; None if the model gives no such weights.

    `name` is "groups" or "modalities"; `kinds` names what `AttendedPatient.kind` counts. A patient without the
    modality, whose weights are all 0, is not counted.
    """
    rows = [(patient.kind, patient.weights[name]) for patient in patients if name in patient.weights]
    held = [(kind, weights) for kind, weights in rows if weights.sum() > 0]
    if not held:
        return None
    by_kind = {}
    for number, kind in enumerate(kinds):
        part = [weights for own, weights in held if own == number]
        if part:
            by_kind[kind] = {"n": len(part), "mean": [round(float(w), 5) for w in np.mean(part, axis=0)]}
    return {"names": list(parts), "kinds": by_kind}


def prototype_use(patients: Sequence[AttendedPatient]) -> dict[str, Any] | None:
    """The share of tiles that belong most to each prototype, and how much of them is lesion where that is known.

    A tile that belongs to none counts for none. None if the model has no prototypes.
    """
    found = [(patient.prototypes, tile_shares(patient)) for patient in patients if patient.prototypes is not None]
    if not found:
        return None
    count = len(found[0][0])
    owners = [np.where(p.max(axis=0) > 0, p.argmax(axis=0), -1) for p, _ in found]
    tiles = np.concatenate(owners)
    lesion = [np.full(len(owner), np.nan) if s is None else s for owner, (_, s) in zip(owners, found, strict=True)]
    shares = np.concatenate(lesion)
    return {
        "n": len(found),
        "tiles": [round(float((tiles == p).mean()), 5) for p in range(count)],
        "lesion": [_known_mean(shares[tiles == p]) for p in range(count)],
    }


def _known_mean(values: Any) -> float | None:
    known = values[np.isfinite(values)]
    return round(float(known.mean()), 4) if len(known) else None
