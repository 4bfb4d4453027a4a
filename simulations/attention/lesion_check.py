"""Does the model look at the lesion? Weights on tiles held against the lesion drawn on synthetic slides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from shared.metrics import Value, bootstrap_weights, interval
from simulations.attention.lesions import drawn_lesion, lesion_shares
from simulations.attention.patients import AttendedPatient

__all__ = ["Looked", "check_lesions", "looked_at", "tile_shares"]

DRAWS = 1000
IN_LESION = 0.5  # of a tile's area


@dataclass(frozen=True)
class Looked:
    """One patient: where the weights lie against where they would lie by chance."""

    everywhere: float  # mean share of lesion over all tiles seen
    attended: float  # the same mean, weighted by attention
    auc: float  # that a tile in the lesion has more weight than one outside; NaN where all tiles are on one side
    tiles: int


def looked_at(patient: AttendedPatient) -> Looked | None:
    """How the weights of one patient lie to the drawn lesion; None without a slide that has one."""
    shares = tile_shares(patient)
    if shares is None:
        return None
    weights = patient.tiles / max(float(patient.tiles.sum()), np.finfo(float).tiny)
    inside = shares > IN_LESION
    return Looked(float(shares.mean()), float(weights @ shares), _auc(patient.tiles, inside), len(shares))


def check_lesions(trained: Sequence[AttendedPatient], untrained: Sequence[AttendedPatient]) -> dict[str, Any] | None:
    """The `lesion` part of metrics.json's `attention`; None when no slide has a drawn lesion.

    `auc` and `difference` (attended - everywhere) are means over patients with 95 % intervals of a bootstrap over
    patients; by chance they are .5 and 0. `untrained` are the same patients through the network's first weights, and
    `gain` is attended - attended untrained: random weights may follow the density of nuclei by themselves.
    """
    pairs = [(looked_at(one), looked_at(other)) for one, other in zip(trained, untrained, strict=True)]
    found = [(one, other) for one, other in pairs if one is not None and other is not None]
    if not found:
        return None
    weights = bootstrap_weights(len(found), DRAWS)
    one, other = ([pair[side] for pair in found] for side in (0, 1))
    points = sorted([round(look.everywhere, 4), round(look.attended, 4)] for look in one)
    return {
        **_means(one, weights),
        "tiles": float(np.median([look.tiles for look in one])),
        "untrained": _means(other, weights),
        "gain": _mean(np.array([a.attended - b.attended for a, b in found]), weights).to_json(),
        "points": points,  # everywhere and attended of each patient, in an order that tells nothing
    }


def tile_shares(patient: AttendedPatient) -> NDArray[np.float64] | None:
    """The share of lesion of each tile seen (N,); None if a slide's lesion is not known."""
    shares = np.zeros(len(patient.tiles))
    for slide in patient.slides:
        outline = drawn_lesion(slide.file) if slide.file is not None and slide.side else None
        if outline is None:
            return None
        shares[slide.rows] = lesion_shares(slide, outline)
    return shares if patient.slides else None


def _auc(weights: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    """The chance that a tile inside has a higher weight than one outside, ties half: the Mann-Whitney statistic."""
    n, m = int(inside.sum()), int((~inside).sum())
    if not n or not m:
        return float("nan")
    return float((rankdata(weights)[inside].sum() - n * (n + 1) / 2) / (n * m))


def _means(looks: Sequence[Looked], weights: NDArray[np.float64]) -> dict[str, Any]:
    everywhere = np.array([look.everywhere for look in looks])
    attended = np.array([look.attended for look in looks])
    columns = {
        "auc": np.array([look.auc for look in looks]),
        "everywhere": everywhere,
        "attended": attended,
        "difference": attended - everywhere,
    }
    return {name: _mean(column, weights).to_json() for name, column in columns.items()}


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> Value:
    """The mean over the patients that have a value, with its bootstrap interval."""
    known = np.isfinite(values)
    if not known.any():
        return Value(None, n=0, reason="all tiles of every patient lie on one side")
    part = weights[:, known]
    with np.errstate(invalid="ignore"):  # a draw without any of these patients
        low, high = interval(part @ values[known] / part.sum(axis=1))
    return Value(float(values[known].mean()), low, high, n=int(known.sum()))
