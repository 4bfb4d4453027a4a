"""Mergeable statistics: what a hospital sends of an evaluation, and what the coordinator makes of the sum.

As in fedjax, a metric is new, merge, result. Every entry is a flat list of counts or sums that adds up elementwise, so
that the coordinator merges by plain addition and no patient's row ever leaves. The bins are public constants.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.errors import WorkFailed
from shared.metrics.class_counts import HISTOGRAM_BINS, class_result, count_classes, entries_of
from shared.metrics.class_intervals import class_intervals
from shared.metrics.detection import Detected
from shared.metrics.detection_counts import ENTRIES as DETECTION_ENTRIES
from shared.metrics.detection_counts import count_detection, detection_result
from shared.metrics.scored import Floats, Kind, Scored
from shared.metrics.survival_counts import ENTRIES as SURVIVAL_ENTRIES
from shared.metrics.survival_counts import count_survival, survival_result

__all__ = ["Statistics"]

FLOATS = frozenset({"brier_sum", "calibration_sum"})
MOST = 1e12  # the pairs of a million patients; sums and draws of more might overflow
ENTRIES: dict[Kind, dict[str, int]] = {"survival": SURVIVAL_ENTRIES, "detection": DETECTION_ENTRIES}
RESULTS = {"classification": class_result, "survival": survival_result, "detection": detection_result}


@dataclass(frozen=True, eq=False)
class Statistics:
    """Counts and sums over patients; `entries` maps a name to a flat array."""

    kind: Kind
    entries: dict[str, Floats]

    @classmethod
    def of(cls, scored: Scored | Detected) -> "Statistics":
        """The statistics of one hospital's patients; those of no patient are all zero."""
        if isinstance(scored, Detected):
            return cls("detection", count_detection(scored))
        count = count_survival if scored.kind == "survival" else count_classes
        return cls(scored.kind, {name: entry.ravel().astype(np.float64) for name, entry in count(scored).items()})

    @staticmethod
    def merge(a: "Statistics", b: "Statistics") -> "Statistics":
        """The statistics of both groups of patients; WorkFailed when they are of different tasks."""
        shapes = [{name: len(entry) for name, entry in each.entries.items()} for each in (a, b)]
        if shapes[0] != shapes[1]:
            raise WorkFailed(
                f"expected statistics of one task, got {a.kind} {shapes[0]} and {b.kind} {shapes[1]}; drop one"
            )
        return Statistics(a.kind, {name: entry + b.entries[name] for name, entry in a.entries.items()})

    def to_record(self) -> dict[str, list[int] | list[float]]:
        """Flat lists for a message: integers where they are counts."""
        return {
            name: entry.tolist() if name in FLOATS else entry.astype(np.int64).tolist()
            for name, entry in self.entries.items()
        }

    @classmethod
    def from_record(cls, record: Mapping[str, list[int] | list[float] | int | float]) -> "Statistics":
        """Read what `to_record` wrote, or a sum of such; WorkFailed when an entry is missing or impossible."""
        kind: Kind = "classification" if "confusion" in record else "survival" if "died" in record else "detection"
        entries = {name: _array(name, entry) for name, entry in record.items()}
        sizes = {name: len(entry) for name, entry in entries.items()}
        expected = entries_of(math.isqrt(sizes["confusion"])) if kind == "classification" else ENTRIES[kind]
        if sizes != expected:
            raise WorkFailed(f"expected the entries {expected}, got {sizes}; drop this reply")
        if any(count != entries["n"][0] for count in _totals(kind, entries)):
            raise WorkFailed("expected every patient once in each table of counts, got others; drop this reply")
        return cls(kind, {name: entries[name] for name in expected})

    @property
    def n(self) -> int:
        """Patients counted."""
        return int(self.entries["n"][0])

    @property
    def events(self) -> int | None:
        """Deaths counted; None for other tasks."""
        return int(self.entries["events"][0]) if self.kind == "survival" else None

    def result(self, ordered: bool = False) -> dict[str, float | None]:
        """Every metric of the task by its name in CONTRACT.md; None where the counts do not give it.

        `ordered` says that classes are grades, which have a metric of their own.
        """
        found = RESULTS[self.kind](self.entries)
        return {name: value for name, value in found.items() if ordered or name != "quadratic_kappa"}

    def intervals(self) -> dict[str, tuple[float | None, float | None]]:
        """95 % intervals of the metrics that counts give one for; none for survival and detection."""
        return class_intervals(self.entries) if self.kind == "classification" else {}


def _array(name: str, entry: list[int] | list[float] | int | float) -> npt.NDArray[np.float64]:
    values = np.atleast_1d(np.asarray(entry, dtype=np.float64))
    if not np.isfinite(values).all() or (values < 0).any():
        raise WorkFailed(
            f"expected counts and sums from 0 up in {name}, got a negative or infinite one; drop this reply"
        )
    if (values > MOST).any():
        raise WorkFailed(f"expected counts and sums of at most {MOST:g} in {name}, got a larger one; drop this reply")
    return values


def _totals(kind: Kind, entries: Mapping[str, Floats]) -> list[float]:
    """What must each be the number of patients; boxes have no such sum."""
    if kind == "classification":
        by_class = (entries["positives"] + entries["negatives"]).reshape(-1, HISTOGRAM_BINS)
        return [float(entries["confusion"].sum()), *by_class.sum(axis=1).tolist()]
    return [float((entries["died"] + entries["censored"]).sum())] if kind == "survival" else []
