"""Lint of the cost: what is counted, by which accountant, where it is kept, and what delta promises."""

import math
from collections.abc import Iterator

from shared.privacy.accounting import epsilon
from shared.privacy.facts import Facts
from shared.privacy.fault import Fault

__all__ = [
    "costlier_than_promised",
    "distributed",
    "engine_of_one_round",
    "loose_accountant",
    "loose_delta",
    "no_ledger",
    "uncounted_steps",
    "upper_edge",
]

SMALLEST = 10
"""Upper edge of the smallest size bucket, "<10"."""


def costlier_than_promised(facts: Facts) -> Iterator[Fault]:
    """DP002: noise that does not keep the study's epsilon over the whole run."""
    terms, cost = facts.terms, facts.cost
    if cost <= terms.epsilon:
        return
    classical = math.sqrt(2 * math.log(1.25 / terms.delta)) / terms.epsilon
    formula = math.isclose(terms.sigma, classical, rel_tol=0.01)
    yield Fault(
        "DP002",
        f"sigma = {terms.sigma:g}" + (", that of sqrt(2 ln(1.25/delta))/epsilon" if formula else ""),
        f"over all {terms.rounds} x {terms.steps_per_round} steps it costs epsilon {_shown(cost)}, and the study "
        f"promises {terms.epsilon:g}"
        + ("; the formula holds for one release with an epsilon below 1" if formula else ""),
        "remove privacy.sigma, and the least noise that keeps epsilon over all rounds is filled in",
    )


def no_ledger(facts: Facts) -> Iterator[Fault]:
    """DP003: an accountant that forgets."""
    if not facts.ledger:
        terms = facts.terms
        one = epsilon([terms.round], terms.delta)
        yield Fault(
            "DP003",
            "no open ledger of this site",
            f"an accountant that starts anew prints epsilon {_shown(one)}, that of one round, while {terms.rounds} "
            f"rounds cost {_shown(facts.cost)}, and other runs on the same patients come on top",
            "open the site's ledger before the first round, and charge every round to it",
        )


def engine_of_one_round(facts: Facts) -> Iterator[Fault]:
    """DP004: a private engine that a late or restarted site lacks."""
    if facts.engine != "any round":
        yield Fault(
            "DP004",
            f"an engine that is built in {facts.engine} alone",
            f"a site that starts later trains up to {facts.terms.rounds - 1} rounds without clipping and noise, at "
            "epsilon infinite",
            "build it from study and ledger at the start of every round, or refuse the round",
        )


def uncounted_steps(facts: Facts) -> Iterator[Fault]:
    """DP005: passes or rates where steps must be stated."""
    terms = facts.terms
    if facts.local_epochs != 1:
        yield Fault(
            "DP005",
            f"training.local_epochs = {facts.local_epochs}",
            f"a private round is {terms.steps_per_round} noisy steps, {terms.rounds * terms.steps_per_round} in the "
            "run, and these are charged; passes over the patients are another number, and are not run",
            "write training.local_epochs = 1, and the steps you mean as privacy.steps_per_round",
        )
    if facts.steps_from != "study":
        yield Fault(
            "DP005",
            f"steps derived as {facts.steps_from}",
            "int(1/(1/n)) is one step short for 19 of the n below 400, so that what runs is not what is charged",
            "state privacy.steps_per_round",
        )


def loose_delta(facts: Facts) -> Iterator[Fault]:
    """DP016: a delta that is no promise to one patient in a site of this size."""
    delta = facts.terms.delta
    most = upper_edge(facts.bucket) if facts.bucket else SMALLEST
    if most is None:
        yield Fault(
            "DP016",
            f"a site of {facts.bucket} patients",
            f"the bucket has no upper edge n, so that nobody can show delta = {delta:g} to be at most 1/(10 n)",
            "train at this site without privacy, or with a cohort of fewer than 5000 patients",
        )
    elif delta > 1 / (10 * most):
        size = facts.bucket or "any size"
        yield Fault(
            "DP016",
            f"privacy.delta = {delta:g} at a site of {size}",
            f"the promise may fail with that probability for each of {'up to' if facts.bucket else 'even'} {most} "
            f"patients, and must not with more than 1/(10 x {most}) = {1 / (10 * most):.2g}",
            "write privacy.delta = 1e-5, which suits every bucket with an upper edge",
        )


def loose_accountant(facts: Facts) -> Iterator[Fault]:
    """DP017: an accountant that is no upper bound, or that keeps the wrong thing."""
    if facts.accountant != "pld":
        yield Fault(
            "DP017",
            f"accountant {facts.accountant}",
            "it is not the one of record: the Gaussian (CLT) one lies below the true cost, 12.50 where that is 13.04, "
            "and is no upper bound",
            "account by PLD; others may be printed beside it",
        )
    if facts.recorded != "events":
        yield Fault(
            "DP017",
            f"{facts.recorded} kept in the place of events",
            "epsilons do not compose: three runs of 3.98 cost 7.4 together, which only their events can tell, and what "
            "is kept in memory is gone with the next message",
            "keep (rate, sigma, steps) of every charge in the ledger, and compute epsilon from all of them",
        )


def distributed(facts: Facts) -> Iterator[Fault]:
    """DP021: noise in shares, which this version cannot hide."""
    if facts.terms.mode == "distributed":
        yield Fault(
            "DP021",
            'privacy.mode = "distributed"',
            "a share of the noise is enough only while secure aggregation hides it, with quorum, colluding sites and "
            "denominator fixed: seen bare, a run of epsilon 4.0 costs 11.6",
            'write privacy.mode = "local"',
        )


def upper_edge(bucket: str) -> int | None:
    """The most patients that a size bucket such as "20-49" or "<10" stands for; None for "5000+".

    Raises
    ------
    ValueError
        No bucket.
    """
    if bucket == f"<{SMALLEST}":
        return SMALLEST
    low, dash, high = bucket.partition("-")
    if dash and low.isdigit() and high.isdigit():
        return int(high)
    if bucket.endswith("+") and bucket[:-1].isdigit():
        return None
    raise ValueError(f'expected a size bucket such as "20-49", got {bucket!r}; take it from shared.messages.bucket')


def _shown(cost: float) -> str:
    return "without bound" if math.isinf(cost) else f"{cost:.2f}"
