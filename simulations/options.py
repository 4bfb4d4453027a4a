"""What `python simulations/run.py` was asked to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import BadInput
from shared.study import DetectionTask, Study
from simulations.adapt import override
from simulations.arms import ARMS
from simulations.engine import Engine
from simulations.iid import IID
from simulations.inline import InlineGrid
from simulations.option_faults import option_faults
from simulations.strategies import strategy_faults
from simulations.stresses.finished import read_stress
from simulations.tcga.merge_small import Rule

__all__ = ["Options"]

BASIC_ARMS = ("federated", "pooled", "local")  # those that a detector has


@dataclass(frozen=True)
class Options:
    """The cohort and how it is split, the study and what is changed of it, what is trained, and where it goes."""

    study: Study
    study_folder: Path | None = None
    cohort: str = "synthetic"
    split: str | None = None
    min_site_patients: int = 20
    merge_small: Rule = "none"
    arms: tuple[str, ...] = ("federated", "pooled", "local")
    folds: int | None = None
    repeats: int = 1
    forests: bool = False  # as floors, beside linear ones
    strategies: tuple[str, ...] = ()  # further ones, beside that of the study
    stress: Path | None = None  # folder of finished dose-response curves that the report shows
    seed: int | None = None  # None = the study's
    settings: tuple[str, ...] = ()  # --set key=value
    typed: Mapping[str, str] = field(default_factory=dict)  # how a fault begins -> the option that set it
    out: Path | None = None
    cache: Path = Path("cache")
    workers: int = 2
    engine: Engine = InlineGrid
    command: str = "python simulations/run.py"

    def __post_init__(self) -> None:
        known = BASIC_ARMS if isinstance(self.study.task, DetectionTask) else (*ARMS, IID)
        unknown = [arm for arm in self.arms if arm not in known]
        faults = []
        if unknown or not self.arms:
            got = ", ".join(unknown) or "none"
            faults.append(f"--arms: expected some of {', '.join(known)}, got {got}; correct it")
        faults += option_faults(
            self.study,
            self.changes,
            counts={"--repeats": self.repeats, "--min-site-patients": self.min_site_patients},
            folds=self.folds,
            seed=self.seed,
            out=self.out,
            typed={**self.typed, "split.folds": "--folds"} if self.folds else self.typed,
        )
        if self.stress is not None:
            faults += self._stress_faults(self.stress)
        if not faults:
            faults = strategy_faults(override(self.study, self.changes), self.strategies, self.arms)
        if faults:
            raise BadInput("\n".join(faults))

    def _stress_faults(self, folder: Path) -> list[str]:
        if isinstance(self.study.task, DetectionTask):
            return ["--stress: expected a study other than one of detection, which has no such curves; leave it out"]
        try:
            read_stress(folder)
        except BadInput as exc:
            return [str(exc)]
        return []

    @property
    def changes(self) -> tuple[str, ...]:
        """`settings`, with the seed and the folds of a k-fold protocol among them."""
        changes = self.settings if self.seed is None else (*self.settings, f"seed={self.seed}")
        return (*changes, f"split.folds={self.folds}") if self.folds and self._counted else changes

    @property
    def _counted(self) -> bool:
        """Whether the study's protocol has as many folds as one asks for; option_faults tells of a wrong study."""
        try:
            return override(self.study, self.settings).split.counted
        except BadInput:
            return False
