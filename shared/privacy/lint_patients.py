"""Lint of the patients: who is a record, who is drawn, and what is computed from them outside the noisy steps."""

from collections.abc import Iterator

from shared.privacy.accounting import epsilon
from shared.privacy.events import Event
from shared.privacy.facts import Facts
from shared.privacy.fault import Fault

__all__ = ["counted_patients", "fitted_to_patients", "other_records", "shuffled_batches", "weighted_sampling"]

WEIGHTED = ("weighted", "balanced")


def weighted_sampling(facts: Facts) -> Iterator[Fault]:
    """DP010: some patients are drawn more often."""
    if facts.sampler in WEIGHTED:
        yield Fault(
            "DP010",
            f"a {facts.sampler} sampler",
            f"the cost is accounted for a chance of {facts.terms.sample_rate:g} for everybody: a patient who is drawn "
            f"in every step pays epsilon {_unsampled(facts)}, not {facts.cost:.2f}",
            "draw everybody at the same rate, and write public task.class_weights",
        )


def fitted_to_patients(facts: Facts) -> Iterator[Fault]:
    """DP011: statistics and choices that all patients have a part in, uncharged."""
    if facts.fitted:
        yield Fault(
            "DP011",
            ", ".join(facts.fitted),
            "all patients have a part in it, without clip or noise: a sum over 1 patient is that patient's row, and in "
            "a split by stratum 1 patient more moves another from training to test",
            'write modalities.expression.normalise = "rank", split.by = "patient", a fixed number of rounds, and '
            "public bins and thresholds",
        )


def shuffled_batches(facts: Facts) -> Iterator[Fault]:
    """DP012: batches that are accounted as what they are not."""
    if facts.sampler not in ("poisson", *WEIGHTED):
        yield Fault(
            "DP012",
            f"batches by {facts.sampler}",
            f"sampling lowers the cost only where each patient's part in a step is an own coin: without that this run "
            f"costs epsilon {_unsampled(facts)}, not {facts.cost:.2f}",
            "draw batches by shared/privacy/sampling.py, or account with a rate of 1",
        )


def counted_patients(facts: Facts) -> Iterator[Fault]:
    """DP014: constants that are none."""
    if facts.from_patients:
        names = ", ".join(facts.from_patients)
        yield Fault(
            "DP014",
            f"{names} computed from the number of patients",
            "with 1 patient more it is another number: it tells how many there are, and scales every patient's part by "
            "what the accountant took for fixed",
            "write public constants in the study; with privacy on every site weighs 1",
        )


def other_records(facts: Facts) -> Iterator[Fault]:
    """DP018: a person who is several records."""
    if facts.unit != "patient":
        yield Fault(
            "DP018",
            f"one record a {facts.unit}",
            "each is clipped alone, so that a patient with k of them has k times the part: TCGA-BRCA has 931 slides of "
            "871 patients",
            "make everything of one patient one record",
        )
    if facts.duplicates:
        yield Fault(
            "DP018",
            f"{facts.duplicates} patients more than once in the cohort",
            "a person who counts twice has twice the part: epsilon 4.0 becomes 9.1 where everybody is in every step",
            "merge the rows of a person by patient key before anything else",
        )


def _unsampled(facts: Facts) -> str:
    """What the run costs somebody who is in every step."""
    terms = facts.terms
    cost = epsilon([Event(1.0, terms.sigma, terms.study.steps)], terms.delta)
    return f"{cost:.1f}" if cost < float("inf") else "without bound"
