"""Blocks B and C: what an epsilon means for one patient, and what exactly is promised to whom."""

from collections.abc import Sequence

from shared.privacy.accounting import epsilon
from shared.privacy.events import Event
from shared.privacy.report.document import Adversary, Meaning, Promise, Verdict
from shared.privacy.report.sentences import EPSILON, certainty, may_fail, one_in, rounded_up, strength

__all__ = ["ADVERSARIES", "finite", "meaning", "promise", "two_hospitals", "upper_edge"]

ADVERSARIES = (
    ("A1", "The coordinator", "every update of this hospital, every study; may keep all of it for ever"),
    ("A1+t", "The coordinator with other hospitals", "the same, and can take away what those hospitals have sent"),
    ("A2", "Other hospitals", "every model that is passed on"),
    ("A3", "The public", "the final model and the reports"),
    ("alone", "One update seen alone", "a single update, without those of other hospitals"),
)
UNIT = "One patient of one hospital, with all slides, samples, images and values of that person."
CLIPPED = " Each patient moves one training step by a limited amount only."
NEIGHBOURS = "The patients with and without any one of them (the figure of record), or with one exchanged for another."
MODES = {
    "local": "Local: all noise is added in the hospital, before anything leaves it. Nobody else has to be trusted.",
    "off": "Off: no noise is added.",
    "partly": "In some studies no noise was added.",
    "test": "Test: the noise comes from a known seed and protects nobody.",
    "none": "Nothing was trained with this hospital yet.",
    "unknown": "Not known: the ledger cannot be relied on.",
}


def finite(value: float) -> float | None:
    """An epsilon for JSON: infinity is no bound, None."""
    return value if value < float("inf") else None


def meaning(verdict: Verdict) -> Meaning:
    """Block B, from the figures on page 1."""
    if verdict.word == "LEDGER BROKEN":
        return Meaning(sentences=("What others can learn about a patient is not known. Assume the worst.", EPSILON))
    if verdict.spent is None or verdict.delta is None:
        return Meaning(sentences=(certainty(None), EPSILON))
    sentences = [certainty(verdict.spent)]
    if verdict.spent > 0:
        sentences.append(strength(verdict.spent))
    sentences.append(EPSILON)
    if verdict.cap is not None and verdict.cap > verdict.spent:
        more = certainty(verdict.cap).removeprefix("Someone who is 50 % sure that a patient took part ")
        sentences.append(f"If the whole limit were used, that person {more}")
    worst = "The bound holds against a person who knows everything else, all other patients included."
    return Meaning(sentences=(*sentences, worst, may_fail(verdict.delta)))


def promise(events: Sequence[Event], delta: float | None, *, mode: str, bounded: bool, bucket: str = "") -> Promise:
    """Block C.

    Parameters
    ----------
    mode
        A key of MODES.
    bounded
        Whether the events are all that left: only then do their epsilons promise anything.
    bucket
        Published size of the site, from which follows how large delta may be; "" where it is not known.
    """
    one = two = both = None
    if bounded and delta is not None:
        one, two = finite(epsilon(events, delta)), finite(epsilon(events, delta, "replace_one"))
        twice = [Event(event.sample_rate, event.sigma, 2 * event.steps) for event in events]
        both = finite(epsilon(twice, delta))
    return Promise(
        unit=UNIT + (CLIPPED if bounded else ""),
        neighbours=NEIGHBOURS,
        mode=MODES[mode],
        epsilon=one,
        epsilon_replace_one=two,
        epsilon_two_hospitals=both,
        delta=delta,
        delta_reason=_delta_reason(delta, bucket) if bounded and delta is not None else "",
        adversaries=tuple(
            Adversary(code=code, name=name, sees=sees, epsilon=one, epsilon_replace_one=two)
            for code, name, sees in ADVERSARIES
        ),
    )


def two_hospitals(found: Promise) -> str:
    """The line on a person who was treated at two of the hospitals."""
    return (
        "A person who is a patient of two of the hospitals, which both spend this much: together that is "
        f"{rounded_up(found.epsilon_two_hospitals)}."
    )


def upper_edge(bucket: str) -> int | None:
    """The largest number of patients in a size bucket; None where it has no upper edge."""
    if bucket.startswith("<"):
        return int(bucket[1:]) - 1
    high = bucket.partition("-")[2]
    return int(high) if high else None


def _delta_reason(delta: float, bucket: str) -> str:
    text = f"Delta, the chance that the bound fails, is {one_in(delta)}. It is a public constant."
    edge = upper_edge(bucket)
    if edge is None:
        return text
    most = 10 * edge
    kept = "as it is" if delta <= 1 / most else "which it is NOT"
    return f"{text} At a hospital of {bucket} patients it must be at most 1 in {most:,}, {kept}."
