"""Lint of the noise: how much, where, from what, and what leaves without it."""

import math
from collections.abc import Iterator

from shared.privacy.facts import PRIVATE_REPLY, Facts
from shared.privacy.fault import Fault, listed

__all__ = [
    "final_noise",
    "heuristics",
    "known_noise",
    "loose_noise",
    "open_replies",
    "unnoised_tensors",
]


def loose_noise(facts: Facts) -> Iterator[Fault]:
    """DP001: a noise scale that is not sigma times the clip."""
    terms, std = facts.terms, facts.noise_std
    needed = terms.sigma * terms.clip
    if not math.isclose(std, needed, rel_tol=1e-6):
        yield Fault(
            "DP001",
            f"noise of standard deviation {std:.4g} at a clip of {terms.clip:g}",
            f"epsilon is accounted for sigma x clip = {needed:.4g}, and this is {std / needed:.3g} times that: a "
            "sensitivity of 1e-4 beside a clip of 1, written by hand, makes 10,000 times too little noise",
            "draw noise of sigma x clip, and leave no other scale to choose",
        )


def unnoised_tensors(facts: Facts) -> Iterator[Fault]:
    """DP007: a tensor that leaves without clipping or noise."""
    bare = sorted(facts.released - facts.noised)
    if bare:
        yield Fault(
            "DP007",
            f"{len(bare)} tensors that leave without noise ({listed(bare)})",
            "one number of a patient without noise makes epsilon infinite, whatever the others cost",
            "let only those tensors leave that the private optimizer holds",
        )
    if facts.clipping != "patient":
        yield Fault(
            "DP007",
            f"clipping by {facts.clipping}",
            "only the whole gradient of one patient scaled to norm C bounds that patient's part, and without a bound "
            "no noise is enough: noise of alpha x std(weights) has no epsilon at all",
            "clip the gradient of each patient, all parameters as one vector",
        )


def final_noise(facts: Facts) -> Iterator[Fault]:
    """DP008: one noise after many steps."""
    if facts.noise_at != "every step":
        steps = facts.terms.steps_per_round
        yield Fault(
            "DP008",
            f"noise of sigma x clip on {facts.noise_at}",
            f"{steps} clipped steps can move the weights {steps} x as far as one, so the noise is {steps} times too "
            "little, and momentum makes it worse",
            "add noise to the sum of every step, or clip the whole update before it is noised",
        )


def known_noise(facts: Facts) -> Iterator[Fault]:
    """DP013: noise that somebody else can draw again."""
    secret = facts.noise_source in ("chacha20", "os-seeded")
    if secret or (facts.simulated and facts.noise_source == "test-seeded"):
        return
    where = " outside a simulation" if facts.noise_source == "test-seeded" else ""
    yield Fault(
        "DP013",
        f"noise and sampling from {facts.noise_source}{where}",
        "whoever knows the seed draws the same numbers and subtracts them, which leaves epsilon infinite: two sites "
        "with torch.manual_seed(42) drew identical noise",
        'write privacy.noise_source = "chacha20", whose keys come from the operating system',
    )


def heuristics(facts: Facts) -> Iterator[Fault]:
    """DP015: a filter that is called privacy."""
    if facts.mechanism != "gaussian":
        yield Fault(
            "DP015",
            f"{facts.mechanism} in the place of calibrated noise",
            "it bounds nothing that one patient changes: sparse vectors at stock values cost epsilon 70,333 in one "
            "round",
            'call it a filter and write privacy.mode = "off", or write privacy.mode = "local"',
        )


def open_replies(facts: Facts) -> Iterator[Fault]:
    """DP019: a reply with numbers of patients that nobody charged or approved."""
    told = sorted(facts.reply - PRIVATE_REPLY - facts.recorded_aux)
    if told:
        yield Fault(
            "DP019",
            f"{listed(told)} in the train reply",
            f"each is computed from patients without noise, {facts.terms.rounds} times in this run, and the coordinator"
            " may keep it for ever",
            "leave it out, charge it, or record it as an aux entry of the ledger that a person approves",
        )
