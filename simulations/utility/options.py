"""What `python simulations/privacy_utility.py` was asked to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import BadInput
from shared.study import DetectionTask, Study
from simulations.option_faults import option_faults
from simulations.synthetic import PATIENTS_PER_SITE

__all__ = ["Options"]

LEAST_PATIENTS, MOST_PATIENTS = 20, 4999


@dataclass(frozen=True)
class Options:
    """The same task twice: a study without privacy, and one with it, each with settings of its own.

    `epsilons` are those of the private study's curve, whatever it says itself.
    """

    plain: Study
    private: Study
    cohort: str
    epsilons: tuple[float, ...] = (8.0, 4.0, 1.0)
    repeats: int = 3
    split: str | None = None
    min_site_patients: int = 20
    seed: int | None = None  # None = the study's
    settings: tuple[str, ...] = ()  # --set key=value, of both studies
    patients_per_site: int | None = None  # of generated hospitals of features; None = the cohort as it is
    out: Path | None = None
    cache: Path = Path("cache")
    command: str = "python simulations/privacy_utility.py"

    def __post_init__(self) -> None:
        faults = [
            f"--epsilons: expected numbers above 0, got {epsilon:g}; correct it"
            for epsilon in self.epsilons
            if not 0 < epsilon < float("inf")
        ]
        if not self.epsilons or len(set(self.epsilons)) != len(self.epsilons):
            faults.append(f"--epsilons: expected different numbers, got {_listed(self.epsilons)}; correct it")
        size = self.patients_per_site
        if size is not None and not LEAST_PATIENTS <= size <= MOST_PATIENTS:
            faults.append(f"--patients-per-site: expected {LEAST_PATIENTS} to {MOST_PATIENTS}, got {size}; correct it")
        if not self.private.privacy.on:
            faults.append(f'{self.private.name}: expected privacy.mode = "local", got off; add a section [privacy]')
        for study in (self.plain, self.private):
            if isinstance(study.task, DetectionTask):
                faults.append(f"{study.name}: expected a study of features, got detection; choose another")
        splits = [study.split.model_copy(update={"by": "patient"}) for study in (self.plain, self.private)]
        if self.plain.task != self.private.task or splits[0] != splits[1]:
            faults.append(
                f"{self.private.name}: expected the task and split of {self.plain.name}, got others; patients are "
                "compared one by one, so make them equal"
            )
        counts = {"--repeats": self.repeats, "--min-site-patients": self.min_site_patients}
        rest = {"counts": counts, "folds": None, "seed": self.seed, "out": self.out}
        faults += option_faults(self.plain, self.plain_changes, **rest)  # type: ignore[arg-type]
        faults += [
            fault
            for fault in option_faults(self.private, self.private_changes, **rest)  # type: ignore[arg-type]
            if fault not in faults
        ]
        if faults:
            raise BadInput("\n".join(faults))

    @property
    def changes(self) -> tuple[str, ...]:
        """`settings`, and the seed as one of them."""
        return self.settings if self.seed is None else (*self.settings, f"seed={self.seed}")

    @property
    def plain_changes(self) -> tuple[str, ...]:
        """What is changed of the study without privacy: it is split as privacy asks for."""
        return (*self.changes, 'split.by="patient"')

    @property
    def private_changes(self) -> tuple[str, ...]:
        """What is changed of the private study: hospitals of another size get their own public denominator."""
        batch = self.private.privacy.expected_batch
        if self.patients_per_site in (None, PATIENTS_PER_SITE) or batch is None:
            return self.changes
        return (f"privacy.expected_batch={batch * self.patients_per_site / PATIENTS_PER_SITE!r}", *self.changes)

    @property
    def descending(self) -> tuple[float, ...]:
        """The epsilons, that of the least noise first."""
        return tuple(sorted(self.epsilons, reverse=True))


def _listed(epsilons: Sequence[float]) -> str:
    return ", ".join(f"{epsilon:g}" for epsilon in epsilons) or "none"
