"""What `python simulations/stress.py` was asked to do."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from shared.errors import BadInput
from shared.study import DetectionTask, Study
from simulations.option_faults import option_faults
from simulations.stresses.curve import Curve
from simulations.stresses.registry import CURVES, DEFAULT

__all__ = ["DEADLINE_S", "Options"]

DEADLINE_S = 0.25
"""How long the coordinator waits for hospitals; those of a simulation answer at once, whatever they take to train."""


SETTINGS = ('split.protocol="holdout"', 'split.by="patient"', f"federation.deadline_s={DEADLINE_S}")
"""What every stressed study has: test patients at every hospital, chosen without a look at their labels, which a dose
may change, and a deadline that a simulation can wait for.
"""


@dataclass(frozen=True)
class Options:
    """The study is trained at every dose of every curve, `seeds` times with other weights and splits."""

    study: Study
    cohort: str = "synthetic"
    study_folder: Path | None = None
    curves: tuple[str, ...] = DEFAULT
    doses: tuple[float, ...] | None = None  # None = each curve's own
    seeds: int = 1
    rounds: int | None = None  # None = the study's
    quick: bool = False  # the first and the last dose only
    split: str | None = None
    least: int = 20  # patients; smaller hospitals never train
    out: Path | None = None
    cache: Path = Path("cache")
    workers: int = 2
    command: str = "python simulations/stress.py"

    def __post_init__(self) -> None:
        faults = []
        unknown = [name for name in self.curves if name not in CURVES]
        if unknown or not self.curves or len(set(self.curves)) != len(self.curves):
            got = ", ".join(unknown or self.curves) or "none"
            faults.append(f"--curves: expected some of {', '.join(CURVES)}, each once, got {got}; correct it")
        if self.doses is not None:
            faults += self._dose_faults(self.doses)
        if isinstance(self.study.task, DetectionTask):
            faults.append(f"{self.study.name}: expected a study of features, got detection; choose another")
        if self.study.privacy.on:
            faults.append(
                f'{self.study.name}: expected privacy.mode = "off", got a private study, whose noise would hide what a '
                "dose does; choose its twin without privacy"
            )
        counts = {"--seeds": self.seeds} | ({} if self.rounds is None else {"--rounds": self.rounds})
        settings = () if self.rounds is None or self.rounds < 1 else self.settings
        faults += option_faults(self.study, settings, counts=counts, folds=None, seed=None, out=self.out)
        if faults:
            raise BadInput("\n".join(faults))

    @property
    def settings(self) -> tuple[str, ...]:
        """What is changed of the study."""
        return SETTINGS if self.rounds is None else (*SETTINGS, f"training.rounds={self.rounds}")

    def doses_of(self, curve: Curve) -> tuple[float, ...]:
        """The doses of one curve, 0 first."""
        doses = curve.doses if self.doses is None else self.doses
        return (doses[0], doses[-1]) if self.quick else doses

    def _dose_faults(self, doses: tuple[float, ...]) -> list[str]:
        got = ",".join(f"{dose:g}" for dose in doses) or "none"
        if len(doses) < 2 or doses[0] != 0 or any(b <= a for a, b in pairwise(doses)):
            return [f"--doses: expected two or more rising numbers that begin with 0, got {got}; write e.g. 0,0.5,1"]
        faults = []
        for curve in (CURVES[name] for name in self.curves if name in CURVES):
            whole = curve.whole and any(dose != int(dose) for dose in doses)
            if not doses[-1] <= curve.highest or whole:
                kind = "whole numbers" if curve.whole else "numbers"
                faults.append(
                    f"--doses: expected {kind} up to {curve.highest:g} for {curve.name}, got {got}; correct it"
                )
        return faults
