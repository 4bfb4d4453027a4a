"""What noise a consortium would face, and whether anything can be learnt through it: told before anybody trains."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from shared.errors import BadInput
from shared.privacy.accounting import Relation, epsilon
from shared.privacy.calibration import calibrated_sigma
from shared.privacy.events import Event
from shared.privacy.lint_cost import upper_edge
from shared.privacy.terms import Terms

__all__ = ["DOUBTFUL", "PLAUSIBLE", "Plan", "Verdict", "make_plan", "plan_of"]

Verdict = Literal["nothing", "doubtful", "plausible"]
DOUBTFUL, PLAUSIBLE = 0.5, 2.0
"""Least strengths of a plan that is doubtful, and of one that is plausible.

Measured with simulations/privacy_utility.py on generated patients, see `Plan.strength`.
"""

LEAST_RATE = 1e-4
LEAST_DELTA = 1e-12  # the accountant's estimate ends near it


@dataclass(frozen=True)
class Plan:
    """One study of `sites` hospitals that train on `patients` each, with the noise that keeps its epsilon."""

    patients: int
    sites: int
    parameters: int
    epsilon: float  # most that the study costs one hospital's patient, add/remove
    delta: float
    rounds: int
    sample_rate: float
    steps_per_round: int
    expected_batch: float
    clip: float
    sigma: float

    @property
    def steps(self) -> int:
        """Noisy steps of the whole study."""
        return self.rounds * self.steps_per_round

    @property
    def site_noise(self) -> float:
        """Standard deviation of the noise in each coordinate of one site's mean gradient, in a single step."""
        return self.sigma * self.clip / self.expected_batch

    @property
    def mean_noise(self) -> float:
        """The same after averaging over the sites."""
        return self.site_noise / math.sqrt(self.sites)

    @property
    def strength(self) -> float:
        """Signal to noise of everything that the averaged updates tell together, at best.

        At best, since every patient's gradient counts with its full length C and all of them point one way: over T
        steps the signal then has length T C q n / B, and the noise sqrt(T) times sigma C sqrt(p) / (B sqrt(K)), for p
        parameters and K sites. A real signal is some tenths of it.
        """
        together = self.sample_rate * self.patients * math.sqrt(self.steps * self.sites)
        return together / (self.sigma * math.sqrt(self.parameters))

    @property
    def verdict(self) -> Verdict:
        """Below DOUBTFUL nothing was ever learnt; from PLAUSIBLE on, most of what is learnt without privacy."""
        return "nothing" if self.strength < DOUBTFUL else "doubtful" if self.strength < PLAUSIBLE else "plausible"

    @property
    def most_parameters(self) -> int:
        """The largest model that would be plausible with all else equal."""
        return math.floor(self.parameters * (self.strength / PLAUSIBLE) ** 2)

    def cost(self, studies: int = 1, relation: Relation = "add_remove") -> float:
        """Epsilon of so many such studies at one hospital; also of one study for a patient of so many hospitals."""
        return epsilon([Event(self.sample_rate, self.sigma, self.steps * studies)], self.delta, relation)

    @cached_property
    def section(self) -> str:
        """The [privacy] section of a study with this plan."""
        return "\n".join(
            [
                "[privacy]",
                'mode = "local"',
                f"epsilon = {self.epsilon!r}",
                f"delta = {self.delta!r}",
                f"clip = {self.clip!r}",
                f"sample_rate = {self.sample_rate!r}",
                f"steps_per_round = {self.steps_per_round}",
                f"expected_batch = {self.expected_batch!r}",
            ]
        )


def plan_of(terms: Terms, *, patients: int, sites: int, parameters: int) -> Plan:
    """The plan that a study's terms amount to at hospitals that train on `patients` each."""
    return Plan(
        patients=patients,
        sites=sites,
        parameters=parameters,
        epsilon=terms.epsilon,
        delta=terms.delta,
        rounds=terms.rounds,
        sample_rate=terms.sample_rate,
        steps_per_round=terms.steps_per_round,
        expected_batch=terms.expected_batch,
        clip=terms.clip,
        sigma=terms.sigma,
    )


def make_plan(
    *,
    patients: int,
    sites: int,
    epsilon: float,
    delta: float,
    rounds: int,
    sample_rate: float,
    expected_batch: float | None,
    clip: float,
    parameters: int,
) -> Plan:
    """The plan, with steps a round that pass once over the patients and the least noise that keeps epsilon.

    Parameters
    ----------
    patients
        That one hospital trains on, test patients not counted.
    expected_batch
        None = `sample_rate` x `patients`, written into the study as a constant.

    Raises
    ------
    BadInput
        One sentence for every value that is none.
    """
    faults = _number_faults(
        {"--patients": patients, "--sites": sites, "--rounds": rounds, "--parameters": parameters},
        {"--epsilon": epsilon, "--clip": clip}
        | ({} if expected_batch is None else {"--expected-batch": expected_batch}),
    )
    if not LEAST_RATE <= sample_rate <= 1:
        faults.append(f"--sample-rate: expected at least {LEAST_RATE:g} and at most 1, got {sample_rate:g}; correct it")
    faults += _delta_faults(patients, delta)
    if faults:
        raise BadInput("\n".join(faults))
    steps = max(1, round(1 / sample_rate))
    try:
        sigma = calibrated_sigma(epsilon, delta, sample_rate, steps * rounds)
    except ValueError as exc:
        raise BadInput(f"--epsilon: {exc}") from exc
    return Plan(
        patients=patients,
        sites=sites,
        parameters=parameters,
        epsilon=float(epsilon),
        delta=delta,
        rounds=rounds,
        sample_rate=float(sample_rate),
        steps_per_round=steps,
        expected_batch=float(sample_rate * patients if expected_batch is None else expected_batch),
        clip=float(clip),
        sigma=sigma,
    )


def _number_faults(counts: dict[str, int], sizes: dict[str, float]) -> list[str]:
    faults = [f"{name}: expected at least 1, got {count}; correct it" for name, count in counts.items() if count < 1]
    return faults + [
        f"{name}: expected a number above 0, got {size:g}; correct it"
        for name, size in sizes.items()
        if not 0 < size < math.inf
    ]


def _delta_faults(patients: int, delta: float) -> list[str]:
    if not LEAST_DELTA <= delta < 1:
        return [f"--delta: expected {LEAST_DELTA:g} or more and less than 1, got {delta:g}; write e.g. 1e-5"]
    if patients < 1:
        return []
    from shared.messages import bucket  # imports flwr

    most = upper_edge(bucket(patients))
    if most is None:
        return [
            f"--patients: expected fewer than 5000, got {patients}; larger hospitals publish no upper bound of their "
            "size, so that nobody could check delta: train on fewer, or without privacy"
        ]
    if delta > 1 / (10 * most):
        return [
            f"--delta: expected at most 1/(10 x {most}) = {1 / (10 * most):.2g}, since the promise may fail with that "
            f"probability for each of up to {most} patients, got {delta:g}; write e.g. 1e-5"
        ]
    return []
