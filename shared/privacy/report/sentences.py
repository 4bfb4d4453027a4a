"""Figures and sentences of a privacy report for somebody who is no statistician. Nothing here is ever flattering."""

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

__all__ = [
    "EPSILON",
    "NO_BOUND",
    "certainty",
    "figure",
    "left_of",
    "may_fail",
    "moment",
    "one_in",
    "rounded_down",
    "rounded_up",
    "strength",
    "sure",
]

NO_BOUND = "no bound"
EPSILON = (
    "The privacy loss is a number, called epsilon. At 0 nothing can be learnt about any one patient; the larger it is, "
    "the more can be."
)
PRACTICALLY_SURE = 99.995  # per cent; from here on two decimals would print 100
STRICT, MODERATE = 1.0, 4.0


def rounded_up(epsilon: float | None, digits: int = 2) -> str:
    """An epsilon that is spent: never printed smaller than it is. None and infinity are no bound."""
    if epsilon is None or not math.isfinite(epsilon):
        return NO_BOUND
    return str(Decimal(repr(epsilon)).quantize(Decimal(1).scaleb(-digits), ROUND_CEILING))


def rounded_down(epsilon: float, digits: int = 2) -> str:
    """An epsilon that is left: never printed larger than it is."""
    return str(Decimal(repr(epsilon)).quantize(Decimal(1).scaleb(-digits), ROUND_FLOOR))


def left_of(cap: float, spent: float) -> str:
    """What is left as printed: with what is printed as spent it adds up to the cap."""
    return str(max(Decimal(0), Decimal(rounded_down(cap)) - Decimal(rounded_up(spent))).quantize(Decimal("0.01")))


def sure(epsilon: float) -> str:
    """How sure, in per cent, somebody who was 50 % sure can become: e^epsilon / (1 + e^epsilon)."""
    percent = 100 / (1 + math.exp(-epsilon))
    return f"{percent:.0f} %" if percent < 99 else f"{percent:.2f} %"


def certainty(epsilon: float | None) -> str:
    """What an epsilon means for one patient; None and infinity mean that nothing is promised."""
    someone = "Someone who is 50 % sure that a patient took part"
    if epsilon is None or not math.isfinite(epsilon):
        return f"{someone} may become completely sure: nothing prevents it."
    if 100 / (1 + math.exp(-epsilon)) >= PRACTICALLY_SURE:
        return f"{someone} can become practically certain."
    return f"{someone} can become at most {sure(epsilon)} sure."


def strength(epsilon: float) -> str:
    """In one word how much an epsilon holds back; nothing above STRICT is called strict, nothing at all strong."""
    if epsilon <= STRICT:
        return "This is a strict limit."
    if epsilon <= MODERATE:
        return "This is a moderate limit: it hides much, but not everything, about a single patient."
    return "This is a weak limit: on its own it hardly stops someone who already suspects that a patient took part."


def one_in(delta: float) -> str:
    """A small probability in words: 1e-5 is "1 in 100,000"."""
    return f"1 in {1 / delta:,.0f}"


def may_fail(delta: float) -> str:
    """What delta means."""
    return f"With a probability of about {one_in(delta)} this bound may fail."


def figure(value: float) -> str:
    """A constant of a study: as many digits as it has, at most six."""
    return f"{value:.6g}"


def moment(ts: str) -> str:
    """A time of the ledger (UTC, ISO 8601) as people write it: 2026-03-01 09:30."""
    return ts[:16].replace("T", " ")
