"""Metrics of an ablation's rows, and their differences to the reference, over the same bootstrap of the cohort.

One draw says how often each patient of the cohort counts, in every row and every seed: a patient who is scored by
three seeds is still one patient. Differences are taken on the patients that both rows score.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shared.metrics import Value, bootstrap_weights, interval, measure, reasons
from shared.metrics.scored import Floats, Integers
from simulations.ablations.predictions import Predicted
from simulations.averages import Difference
from simulations.multiplicity import p_value

__all__ = ["DRAWS", "Compared", "Paired", "draw_cohort"]

DRAWS = 1000


def draw_cohort(patients: int, seed: int) -> Floats:
    """(draws, patients): how often each patient of the cohort counts in each draw."""
    return bootstrap_weights(patients, DRAWS, seed)


@dataclass(frozen=True)
class Paired:
    """A difference, and the patients a seed (the mean over seeds) on whom it was taken."""

    found: Difference
    n: int


@dataclass(frozen=True, eq=False)
class Compared:
    """One row at one place, measured over the draws of `weights` (D, patients).

    `seeds` holds the seed of every prediction; those of one seed are its folds, which are averaged first (CONTRACT.md
    section 7). None given = a prediction a seed.
    """

    predicted: tuple[Predicted, ...]
    weights: Floats
    seeds: tuple[int, ...] = ()

    @cached_property
    def points(self) -> dict[str, Floats]:
        """Metric -> (seeds,)."""
        found = self._by_seed([measure(one.scored) for one in self.predicted])
        return {name: means[:, 0] for name, means in found.items()}

    @cached_property
    def draws(self) -> dict[str, Floats]:
        """Metric -> (seeds, D)."""
        return self._by_seed([measure(one.scored, self.weights[:, one.rows]) for one in self.predicted])

    def values(self) -> dict[str, Value]:
        """Metric -> mean over seeds with its interval; `sd` is over seeds, `n` and `events` add up a seed's folds."""
        n = self._a_seed([len(one.rows) for one in self.predicted])
        survival = self.predicted[0].scored.kind == "survival"
        events = self._a_seed([one.scored.events for one in self.predicted]) if survival else None
        why = reasons(self.predicted[0].scored)
        values = {}
        for name, points in self.points.items():
            finite = points[np.isfinite(points)]
            if not len(finite):
                values[name] = Value(None, n=n, events=events, reason=why.get(name, "cannot be computed"))
                continue
            low, high = interval(_mean(self.draws[name]))
            sd = float(np.std(finite, ddof=1)) if len(finite) > 1 else None
            values[name] = Value(float(finite.mean()), low, high, sd, n, events)
        return values

    def minus(self, other: "Compared") -> dict[str, Paired]:
        """Metric -> this row minus `other`, fold by fold on the patients that both score."""
        pairs = list(zip(self.predicted, other.predicted, strict=True))
        shared = [np.intersect1d(a.rows, b.rows) for a, b in pairs]
        n = self._a_seed([len(rows) for rows in shared])
        if not n:
            return {}
        mine, theirs = self._on(shared), other._on(shared)
        found = {}
        for name, points in mine.points.items():
            difference = points - theirs.points[name]
            if np.isfinite(difference).any():
                draws = _mean(mine.draws[name] - theirs.draws[name])
                found[name] = Paired(Difference(float(np.nanmean(difference)), *interval(draws), p_value(draws)), n)
        return found

    def _on(self, shared: Sequence[Integers]) -> "Compared":
        """The row on some of its patients; the row itself, draws measured already, where these are all of them."""
        pairs = list(zip(self.predicted, shared, strict=True))
        if all(len(one.rows) == len(rows) for one, rows in pairs):
            return self
        return Compared(tuple(_restricted(one, rows) for one, rows in pairs), self.weights, self.seeds)

    def _by_seed(self, parts: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
        """Metric -> (seeds, ...): the mean over each seed's folds."""
        folds = [[part for part, of in zip(parts, self._seeds, strict=True) if of == seed] for seed in self._distinct]
        return {name: np.array([_mean(np.array([part[name] for part in seed])) for seed in folds]) for name in parts[0]}

    def _a_seed(self, counts: Sequence[int]) -> int:
        """Patients or events of one seed: those of its folds together, the mean over seeds."""
        return round(sum(counts) / len(self._distinct))

    @property
    def _seeds(self) -> tuple[int, ...]:
        return self.seeds or tuple(range(len(self.predicted)))

    @property
    def _distinct(self) -> list[int]:
        return list(dict.fromkeys(self._seeds))


def _restricted(predicted: Predicted, rows: Integers) -> Predicted:
    kept = np.flatnonzero(np.isin(predicted.rows, rows))
    return Predicted(predicted.scored.take(kept), predicted.rows[kept])


def _mean(draws: Floats) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a draw that no seed can measure is NaN
        mean: Floats = np.nanmean(draws, axis=0)
    return mean
