"""Average metrics over folds and repeats: points and bootstrap draws alike, never patients concatenated."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.metrics import Value, interval
from shared.metrics.scored import Floats
from simulations.multiplicity import p_value
from simulations.scores import Measured

__all__ = ["Difference", "average", "difference", "draws_of", "points_of"]


@dataclass(frozen=True)
class Difference:
    """a - b of one metric, with the 95 % interval and the two-sided p value of paired draws."""

    difference: float
    low: float | None
    high: float | None
    p: float | None


def average(repeats: Sequence[Sequence[Measured]]) -> dict[str, Value]:
    """One Value a metric from repeats of folds; `sd` is over repeats, `n` and `events` count one repeat's folds."""
    first = repeats[0]
    n = sum(fold.n for fold in first)
    events = None if first[0].events is None else sum(fold.events or 0 for fold in first)
    values = {}
    for name in first[0].point:
        means = points_of(repeats, name)
        finite = means[np.isfinite(means)]
        if not len(finite):
            reason = next((fold.reasons[name] for fold in first if name in fold.reasons), "cannot be computed")
            values[name] = Value(None, n=n, events=events, reason=reason)
            continue
        low, high = interval(draws_of(repeats, name))
        sd = float(np.std(finite, ddof=1)) if len(finite) > 1 else None
        values[name] = Value(float(finite.mean()), low, high, sd, n, events)
    return values


def difference(a: Sequence[Sequence[Measured]], b: Sequence[Sequence[Measured]], metric: str) -> Difference | None:
    """The mean of a - b over folds and repeats; None when one of them is null everywhere."""
    if metric not in a[0][0].point:
        return None
    points = points_of(a, metric) - points_of(b, metric)
    if not np.isfinite(points).any():
        return None
    draws = draws_of(a, metric) - draws_of(b, metric)
    return Difference(float(np.nanmean(points)), *interval(draws), p_value(draws))


def points_of(repeats: Sequence[Sequence[Measured]], name: str) -> Floats:
    """(R,) the mean over the folds of each repeat, NaN where no fold gives a value."""
    return np.array([_nanmean(np.array([[float(fold.point[name][0])] for fold in folds]))[0] for folds in repeats])


def draws_of(repeats: Sequence[Sequence[Measured]], name: str) -> Floats:
    """(D,) draw d averaged over all folds of all repeats."""
    return _nanmean(np.array([fold.draws[name] for folds in repeats for fold in folds]))


def _nanmean(rows: Floats) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column of NaN only is NaN
        mean: Floats = np.nanmean(rows, axis=0)
    return mean
