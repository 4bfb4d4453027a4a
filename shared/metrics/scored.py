"""Patients with a model's predictions: what every metric starts from."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from shared.errors import WorkFailed

__all__ = ["Floats", "Integers", "Kind", "Scored"]

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
Kind: TypeAlias = Literal["classification", "survival", "detection"]


@dataclass(frozen=True, eq=False)
class Scored:
    """Predictions of one model for n patients, beside the truth.

    Raises
    ------
    WorkFailed
        A score is NaN or infinite: the model diverged.
    ValueError
        The fields do not fit each other.
    """

    kind: Kind
    scores: Floats  # (n, C) class probabilities, or (n, K) survival beyond each time bin, S_k in [0, 1]
    y: Integers  # (n,) class, or time bin
    time: Floats  # (n,) months; zeros for classification
    event: Integers  # (n,) 1 = died, 0 = censored; zeros for classification
    site: npt.NDArray[np.str_]  # (n,) the hospital
    edges: tuple[float, ...] = ()  # months, the K - 1 inner edges of the time bins; () for classification
    ordered: bool = False  # the classes are grades, from low to high
    who: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """(n,) a number of each patient, by which a bootstrap knows them again; their places where nothing is given."""

    def __post_init__(self) -> None:
        if not len(self.who):
            object.__setattr__(self, "who", np.arange(len(self.y)))
        lengths = {name: len(getattr(self, name)) for name in ("scores", "y", "time", "event", "site", "who")}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"expected as many rows in every field, got {lengths}; give every patient once in each")
        if self.scores.ndim != 2 or self.scores.shape[1] < 2:
            raise ValueError(f"expected scores (n, 2 or more), got {self.scores.shape}; give one column a class or bin")
        bins = len(self.edges) + 1
        if self.kind == "survival" and bins != self.scores.shape[1]:
            raise ValueError(f"expected {bins} survival columns, got {self.scores.shape[1]}; pass the study's edges")
        bad = int((~np.isfinite(self.scores)).any(axis=1).sum())
        if bad:
            raise WorkFailed(
                f"expected finite predictions, got NaN or infinity for {bad} of {len(self)} patients; "
                "the training diverged, lower the learning rate"
            )

    def __len__(self) -> int:
        return len(self.y)

    @property
    def risk(self) -> Floats:
        """(n,) minus the sum of S_k, in [-K, 0]; higher = dies earlier (SEEDS.md 1.3)."""
        total: Floats = self.scores.sum(axis=1)
        return -total

    @property
    def events(self) -> int:
        """Deaths among the patients."""
        return int(self.event.sum())

    def take(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | Sequence[int]) -> "Scored":
        """The patients at `index` (positions, repeats allowed, or an (n,) bool mask), in that order."""
        rows = np.asarray(index)
        if rows.size == 0:
            rows = rows.astype(np.int64)
        return Scored(
            self.kind,
            self.scores[rows],
            self.y[rows],
            self.time[rows],
            self.event[rows],
            self.site[rows],
            self.edges,
            self.ordered,
            self.who[rows],
        )

    @classmethod
    def concat(cls, parts: Sequence["Scored"]) -> "Scored":
        """All patients of `parts`, in order; ValueError when the parts are of different tasks or there is none."""
        tasks = {(part.kind, part.edges, part.ordered, part.scores.shape[1]) for part in parts}
        if len(tasks) != 1:
            raise ValueError(f"expected parts of one task, got {len(tasks)} tasks; score each task alone")
        ((kind, edges, ordered, _),) = tasks
        arrays = {
            each.name: np.concatenate([getattr(part, each.name) for part in parts])
            for each in fields(cls)
            if each.name not in ("kind", "edges", "ordered")
        }
        return cls(kind=kind, edges=edges, ordered=ordered, **arrays)
