"""What noise a consortium would face, and whether anything can be learnt through it: told before anybody trains."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from shared.errors import BadInput
from shared.privacy.accounting import Relation, epsilon
from shared.privacy.calibration import calibrated_sigma
from shared.privacy.events import Event
from shared.privacy.terms import Terms

__all__ = ["DOUBTFUL", "LONGEST", "PLAUSIBLE", "Plan", "Verdict", "make_plan", "plan_of"]

Verdict = Literal["nothing", "doubtful", "plausible"]
DOUBTFUL, PLAUSIBLE = 25.0, 100.0
"""Least strengths of a plan that is doubtful, and of one that is plausible.

Measured on generated patients whom models without privacy rank with an AUC of .82 to .93, with 95 and 2,394 parameters
and 28 to 140 training patients at each of 8 hospitals (`simulations/privacy_utility.py`). Of what is learnt without
privacy, AUC beyond .5, was learnt at strength 21: nothing beyond chance; 30: a quarter and a half; 40 to 70: four to
nine tenths; 106 and more: six tenths to all.
"""
LONGEST = 0.3
"""Least `update_ratio` of a plausible plan. Up to 19,000 parameters their number made no difference at strength 106;
222,000, a ratio of .2, lost half of what the others learnt."""

LEAST_RATE = 1e-4
LEAST_DELTA = 1e-12  # the accountant's estimate ends near it


@dataclass(frozen=True)
class Plan:
    """One study of `sites` hospitals that train on `patients` each, with the noise that keeps its epsilon."""

    patients: int  # of one hospital, test patients not counted
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
        """By how many standard deviations of the noise the study can move one patient's prediction, at best.

        At best, since all clipped gradients are taken to have the full length C and the direction that moves this
        prediction most. Over T steps at K sites that moves it by T C q n / B, times the length of that direction's
        gradient, and the averaged noise by sqrt(T / K) sigma C / B, times the same: however many parameters there are.
        """
        return self.sample_rate * self.patients * math.sqrt(self.steps * self.sites) / self.sigma

    @property
    def update_ratio(self) -> float:
        """How much longer than their noise the averaged updates of the whole study are together, at best.

        The noise has sigma C / B in each of p coordinates, so a large model is carried far away by it.
        """
        return self.strength / math.sqrt(self.parameters)

    @property
    def verdict(self) -> Verdict:
        """Below DOUBTFUL nothing is learnt; from PLAUSIBLE on, most of what is learnt without privacy."""
        if self.strength < DOUBTFUL:
            return "nothing"
        return "plausible" if self.strength >= PLAUSIBLE and self.update_ratio >= LONGEST else "doubtful"

    @property
    def most_parameters(self) -> int:
        """The largest model that would be plausible, if the strength were enough."""
        return math.floor((self.strength / LONGEST) ** 2)

    @cached_property
    def least_epsilon(self) -> float:
        """The epsilon at which the same hospitals and steps would have the strength of a plausible plan."""
        sigma = self.sigma * self.strength / PLAUSIBLE
        return epsilon([Event(self.sample_rate, sigma, self.steps)], self.delta)

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
    test_fraction: float,
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
        Of one hospital, those included that are held out for tests.
    test_fraction
        The share that is held out.
    expected_batch
        None = `sample_rate` x the patients that train, written into the study as a constant.

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
    if not 0 <= test_fraction < 1:
        faults.append(f"--test-fraction: expected at least 0 and less than 1, got {test_fraction:g}; correct it")
    faults += _delta_faults(patients, delta)
    if faults:
        raise BadInput("\n".join(faults))
    training = max(1, patients - math.ceil(test_fraction * patients - 1e-9))
    steps = max(1, round(1 / sample_rate))
    try:
        sigma = calibrated_sigma(epsilon, delta, sample_rate, steps * rounds)
    except ValueError as exc:
        raise BadInput(f"--epsilon: {exc}") from exc
    return Plan(
        patients=training,
        sites=sites,
        parameters=parameters,
        epsilon=float(epsilon),
        delta=delta,
        rounds=rounds,
        sample_rate=float(sample_rate),
        steps_per_round=steps,
        expected_batch=float(sample_rate * training if expected_batch is None else expected_batch),
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
    from shared.privacy.lint_cost import upper_edge  # imports torch

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
