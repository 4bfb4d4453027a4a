"""Average metrics over folds and repeats: points and bootstrap draws alike, never patients concatenated."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from shared.metrics import Value, interval
from shared.metrics.ranking import divide
from shared.metrics.scored import Floats
from simulations.multiplicity import p_value
from simulations.scores import BySite, Measured, People

__all__ = ["Difference", "average", "by_site", "difference", "draws_of", "points_of"]

FEWEST = 3
"""Hospitals, below which drawing among them says nothing about others."""


@dataclass(frozen=True)
class Difference:
    """a - b of one metric, with the 95 % interval and the two-sided p value of paired draws."""

    difference: float
    low: float | None
    high: float | None
    p: float | None


def average(repeats: Sequence[Sequence[Measured]]) -> dict[str, Value]:
    """One Value a metric from repeats of folds; `sd` is over repeats, `n` and `events` count one repeat's folds.

    A patient whom several folds score counts once. Of a mean over hospitals those count that could compute the metric.
    """
    first = repeats[0]
    values = {}
    for name in first[0].point:
        n, events, sites = _counts(next((r for r in repeats if any(name in f.counted for f in r)), first), name)
        means = points_of(repeats, name)
        finite = means[np.isfinite(means)]
        if not len(finite):
            reason = next((fold.reasons[name] for fold in first if name in fold.reasons), "cannot be computed")
            reason += " a fold" if len(first) > 1 and reason.startswith("fewer than") else ""
            values[name] = Value(None, n=n, events=events, reason=reason)
            continue
        low, high = interval(draws_of(repeats, name))
        sd = float(np.std(finite, ddof=1)) if len(finite) > 1 else None
        values[name] = Value(float(finite.mean()), low, high, sd, n, events, sites=sites)
    return values


def _counts(folds: Sequence[Measured], name: str) -> tuple[int, int | None, int | None]:
    """Patients, deaths, and of a mean over hospitals how many of these; each counts once."""
    survival = folds[0].events is not None
    counted = [fold.counted[name] for fold in folds if name in fold.counted]
    known = counted or [fold.people for fold in folds if fold.people is not None]
    if not counted and len(known) < len(folds):  # numbers alone
        return sum(fold.n for fold in folds), sum(fold.events or 0 for fold in folds) if survival else None, None
    people = reduce(People.__or__, known)
    return len(people.who), len(people.died) if survival else None, len(people.sites) if counted else None


def by_site(repeats: Sequence[Sequence[BySite]], name: str) -> dict[str, float | int | None]:
    """`low` and `high` of a metric when whole hospitals are drawn, and the number of hospitals it is of.

    A fold counts as often as its hospitals are drawn: where each is left out once, folds are what is drawn. Of fewer
    than FEWEST hospitals there is no interval.
    """
    folds = [fold for repeat in repeats for fold in repeat]
    values, drawn = np.array([fold.draws[name] for fold in folds]), np.array([fold.drawn for fold in folds])
    known = np.isfinite(values)
    total = np.where(known, values, 0.0) * drawn
    sites = frozenset[str]().union(*(fold.counted.get(name, frozenset()) for fold in repeats[0]))
    means = divide(total.sum(axis=0), (drawn * known).sum(axis=0))
    low, high = interval(means) if len(sites) >= FEWEST else (None, None)
    return {"low": low, "high": high, "sites": len(sites)}


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
