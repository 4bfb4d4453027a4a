"""A metric's value as it stands in metrics.json, with its interval (CONTRACT.md section 7, V)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from shared.metrics.ranking import divide
from shared.metrics.scored import Floats

__all__ = ["Source", "Value", "bootstrap_weights", "interval", "paired_difference", "plain_mean", "summarise"]

Source: TypeAlias = Literal["patients", "statistics"]


@dataclass(frozen=True)
class Value:
    """One V. `low` and `high` bound a 95 % interval; `sd` is over repeats; ValueError for a null without a reason.

    `sites` is given for a mean over hospitals: how many could compute it, and `n` and `events` are theirs.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    sd: float | None = None
    n: int = 0
    events: int | None = None
    source: Source = "patients"
    reason: str | None = None
    sites: int | None = None

    def __post_init__(self) -> None:
        for name in ("value", "low", "high", "sd"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise ValueError(f"expected a finite {name} or None, got {number}; give None and a reason")
        if self.value is None and not self.reason:
            raise ValueError("expected a reason for a null value, got none; say why it cannot be computed")

    def to_json(self) -> dict[str, float | int | str | None]:
        """The object of metrics.json."""
        counted = {} if self.sites is None else {"sites": self.sites}
        return counted | {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "sd": self.sd,
            "n": self.n,
            "events": self.events,
            "from": self.source,
            "reason": self.reason,
        }


def bootstrap_weights(n: int, draws: int = 1000, seed: int = 0) -> Floats:
    """(draws, n) how often each patient is drawn when n are drawn with replacement; the same for the same seed."""
    if n == 0:
        return np.zeros((draws, 0))
    drawn = np.random.default_rng(seed).integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)


def interval(draws: Floats) -> tuple[float | None, float | None]:
    """The 2.5 and 97.5 percentiles of the finite draws (D,); (None, None) when none is finite."""
    finite = draws[np.isfinite(draws)]
    if finite.size == 0:
        return None, None
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)


def paired_difference(a: Floats, b: Floats) -> tuple[float | None, float | None]:
    """The 95 % interval of a - b over draws (D,) of the same patients, where both are finite."""
    return interval(a - b)


def plain_mean(parts: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """The mean of every metric (D,) over models, e.g. the local arm on unseen patients; a NaN counts for nothing."""
    stacked = {name: np.array([part[name] for part in parts]) for name in parts[0]}
    return {name: divide(np.nansum(s, axis=0), np.isfinite(s).sum(axis=0)) for name, s in stacked.items()}


def summarise(
    point: Mapping[str, Floats],
    draws: Mapping[str, Floats] | None,
    n: int,
    events: int | None,
    reasons: Mapping[str, str],
    source: Source = "patients",
) -> dict[str, Value]:
    """Values from what `measure` gave without weights (1,) and for the bootstrap draws (D,)."""
    values = {}
    for name, found in point.items():
        number = float(np.asarray(found).reshape(-1)[0])
        if not math.isfinite(number):
            reason = reasons.get(name, "cannot be computed")
            values[name] = Value(None, n=n, events=events, source=source, reason=reason)
            continue
        low, high = interval(draws[name]) if draws is not None else (None, None)
        values[name] = Value(number, low, high, n=n, events=events, source=source)
    return values
