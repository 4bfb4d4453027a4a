"""Calibration: whether what a model predicts comes true as often as it says.

Classification: 15 equal bins of the top probability, its mean against the share that was right (Guo et al. 2017).
Survival: at every time edge five equal groups by the predicted survival, its mean against Kaplan-Meier's estimate in
the group. Folds are pooled: bins and tables of deaths add up. Where several models or folds score the same patients
(the local arm on unseen hospitals, own patients when hospitals are left out in turn), each prediction counts for a part
of its patient, so that `n` and intervals are of patients.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shared.metrics.classification import CALIBRATION_BINS, calibration_bins
from shared.metrics.scored import Floats, Scored
from simulations.scores import Scores

__all__ = ["FEWEST", "GROUPS", "calibration", "kaplan_meier", "wilson"]

FEWEST = 5
"""Bins of fewer patients are suppressed."""
GROUPS = 5
Z = 1.959963984540054  # 95 % of a normal distribution
Bin = dict[str, Any]


def calibration(scored: Mapping[str, Sequence[Scores]]) -> dict[str, Any]:
    """The section `calibration` of metrics.json from the folds of one repeat of every arm.

    Returns
    -------
    arm -> `own` and `unseen` -> {"predictions", "patients", "bins"}
        Every bin has `predicted`, `observed`, its interval `low` to `high`, and `n` patients.
        A bin of classification has `from` and `to` (probability), one of survival `months`, `group` (1 = lowest
        predicted survival) and `events`. A bin with fewer than 5 patients has nulls and a `reason`.
    """
    found: dict[str, Any] = {}
    for arm, folds in scored.items():
        places = {"own": [fold.own for fold in folds], "unseen": [part for fold in folds for part in fold.unseen]}
        found[arm] = {place: _pooled(parts) for place, parts in places.items() if any(map(len, parts))}
    return found


def _pooled(parts: Sequence[Scored]) -> dict[str, Any]:
    """Bins over all folds and models, in which every patient counts once in all."""
    every = Scored.concat(parts)
    _, place, count = np.unique(every.who, return_inverse=True, return_counts=True)
    weight: Floats = 1 / count[place]
    bins = _survival_bins(every, weight) if every.kind == "survival" else _class_bins(every, weight)
    return {"predictions": len(every), "patients": len(count), "bins": bins}


def _class_bins(scored: Scored, weight: Floats) -> list[Bin]:
    top, place = scored.scores.max(axis=1), calibration_bins(scored)
    right = (scored.scores.argmax(axis=1) == scored.y).astype(np.float64)
    sums = [np.bincount(place, values * weight, CALIBRATION_BINS) for values in (np.ones(len(top)), top, right)]
    bins = []
    for k, (n, predicted, hits) in enumerate(zip(*sums, strict=True)):
        ends = {"from": round(k / CALIBRATION_BINS, 6), "to": round((k + 1) / CALIBRATION_BINS, 6)}
        if n < FEWEST:
            bins.append({**ends, **_suppressed(n)})
            continue
        low, high = wilson(hits, n)
        bins.append({**ends, **_bin(predicted / n, hits / n, low, high, n)})
    return bins


def _survival_bins(scored: Scored, weight: Floats) -> list[Bin]:
    bins = []
    for k, month in enumerate(scored.edges):
        predicted = scored.scores[:, k]
        cuts = np.quantile(predicted, np.arange(1, GROUPS) / GROUPS)
        group = np.searchsorted(cuts, predicted, side="right")  # equal predictions stay together
        for number in range(GROUPS):
            rows = np.flatnonzero(group == number)
            part, parts = scored.take(rows), weight[rows]
            n, name = float(parts.sum()), {"months": month, "group": number + 1}
            if n < FEWEST:
                bins.append({**name, **_suppressed(n), "events": None})
                continue
            alive, low, high = kaplan_meier(part.time, part.event.astype(np.float64), parts, month)
            mean = float((predicted[rows] * parts).sum() / n)
            events = round(float((part.event * (part.time <= month) * parts).sum()))
            bins.append({**name, **_bin(mean, alive, low, high, n), "events": events})
    return bins


def _bin(predicted: float, observed: float | None, low: float | None, high: float | None, n: float) -> Bin:
    found = {"predicted": predicted, "observed": observed, "low": low, "high": high}
    reason = None if observed is not None else "nobody followed that long"
    return {name: None if v is None else round(float(v), 6) for name, v in found.items()} | {
        "n": round(n),
        "reason": reason,
    }


def _suppressed(n: float) -> Bin:
    few = "no patients" if n == 0 else f"fewer than {FEWEST} patients"
    return dict.fromkeys(("predicted", "observed", "low", "high")) | {"n": round(n), "reason": few}


def wilson(hits: float, n: float) -> tuple[float, float]:
    """The 95 % interval of a share of `hits` in `n` (Wilson 1927)."""
    share, spread = hits / n, Z**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = Z * np.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def kaplan_meier(
    time: Floats, event: Floats, weight: Floats, month: float
) -> tuple[float | None, float | None, float | None]:
    """Survival beyond `month` of weighted patients (n,), with its 95 % interval (log-log of Greenwood's variance).

    All null when nobody alive was followed to `month`; no interval while nobody has died, or when everybody has.
    """
    months = np.unique(time[(event > 0) & (time <= month)])
    died = np.array([weight[(time == t) & (event > 0)].sum() for t in months])
    followed = np.array([weight[time >= t].sum() for t in months])
    alive = float(np.prod(1 - died / followed))
    if alive > 0 and not (time >= month).any():
        return None, None, None
    if not 0 < alive < 1:
        return alive, None, None
    error = np.sqrt((died / (followed * (followed - died))).sum()) / abs(np.log(alive))
    return alive, float(alive ** np.exp(Z * error)), float(alive ** np.exp(-Z * error))
