"""What a stress must say of itself: a curve of doses, with one or several lines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from shared.seeds import derive_seed
from shared.study import Study
from simulations.engine import Engine
from simulations.fold import Fold
from simulations.hospitals import Hospital
from simulations.inline import InlineGrid
from simulations.ready import Progress

__all__ = ["Base", "Curve", "Dosed", "Line", "in_order", "trained_hospitals"]


@dataclass(frozen=True)
class Line:
    """One line of a curve: a variant of the stress, or of what stands against it.

    `settings` are `--set key=value` of the study, and `arm` is one of simulations.arms.ARMS.
    """

    name: str
    words: str
    settings: tuple[str, ...] = ()
    arm: str = "federated"


@dataclass(frozen=True)
class Base:
    """What a dose changes: the hospitals as they are, prepared for the study of one line and one seed."""

    hospitals: Sequence[Hospital]
    fold: Fold
    cohort: Path
    cache: Path
    workers: int
    progress: Progress

    @property
    def study(self) -> Study:
        """The study of this line and seed."""
        return self.fold.study


@dataclass(frozen=True)
class Dosed:
    """Hospitals under a dose, and the Grid between them and the coordinator.

    `marks` is what decides the outcome beside the study and the hospitals' stores: a point is known by it.
    """

    hospitals: list[Hospital]
    engine: Engine = InlineGrid
    marks: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Curve:
    """One stress. At dose 0 nothing is touched, and `apply` is not called.

    Parameters
    ----------
    axis
        What the dose is, with its unit.
    highest, whole
        Doses go from 0 to `highest`, in whole numbers where `whole`.
    lines
        The lines that a study has.
    apply
        (base, line, dose above 0) -> hospitals under that dose.
    fault
        (study, cohort folder) -> why the study or the cohort cannot be stressed so, in a sentence; "" when it can.
    says
        What was done to whom, for the report.
    signature
        How well slide features name the hospital is measured at every dose.
    """

    name: str
    title: str
    axis: str
    doses: tuple[float, ...]
    highest: float
    lines: Callable[[Study], tuple[Line, ...]]
    apply: Callable[[Base, Line, float], Dosed]
    says: str
    whole: bool = False
    signature: bool = False
    fault: Callable[[Study, Path], str] = lambda study, cohort: ""


def trained_hospitals(base: Base) -> list[Hospital]:
    """The hospitals that train, in the order of their ids."""
    return sorted((h for h in base.hospitals if h.id in base.fold.training), key=lambda h: h.id)


def in_order(base: Base, what: str) -> list[Hospital]:
    """The hospitals that train in an order drawn by the seed: a higher dose strikes those of a lower one, and more."""
    hospitals = trained_hospitals(base)
    drawn = np.random.default_rng(derive_seed(base.study.seed, "stress", what)).permutation(len(hospitals))
    return [hospitals[place] for place in drawn.tolist()]
