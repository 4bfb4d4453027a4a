"""Blocks D and E: how the noise was made, and what it adds up to by three accountants."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.privacy.accounting import ACCOUNTANT, DISCRETISATION, epsilon, prv_epsilon, rdp_epsilon
from shared.privacy.events import Event, merged
from shared.privacy.report.document import EventTotal, Extractor, Mechanism, Numbers
from shared.privacy.report.history import History
from shared.privacy.report.promise import finite

__all__ = ["CLIPPING", "extractors", "mechanisms", "numbers_of"]

CLIPPING = "the whole gradient of each patient, all trained numbers as one vector"
SAMPLERS = {"poisson": "Poisson: each patient is drawn for each step by an own coin"}
SOURCES = {
    "chacha20": "ChaCha20, key from the operating system, never stored or sent",
    "os-seeded": "torch generator, seed from the operating system, never stored or sent",
    "test-seeded": "test-seeded: a KNOWN seed, NOT PRIVATE",
}
ENCODED = (("slides", "encoder"), ("imaging", "encoder"), ("blood", "text_encoder"))


def mechanisms(history: History) -> tuple[Mechanism, ...]:
    """One for every study that was charged, the oldest first."""
    last = {str(entry.body["digest"]): entry for entry in history.charges}
    return tuple(_mechanism(history, digest, entry.body) for digest, entry in last.items())


def _mechanism(history: History, digest: str, charge: Mapping[str, Any]) -> Mechanism:
    study, approval = history.study(digest), history.approval(digest)
    terms = (approval.body["terms"] if approval else None) or {}
    return Mechanism(
        study=history.name(digest),
        digest=digest,
        mode=str(charge["mode"]),
        epsilon=terms.get("epsilon"),
        clip=float(charge["clip"]),
        sigma=float(charge["sigma"]),
        sample_rate=float(charge["sample_rate"]),
        steps_per_round=int(charge["steps"]),
        rounds=study.get("training", {}).get("rounds"),
        sampler=SAMPLERS.get(str(charge["sampler"]), str(charge["sampler"])),
        noise_source=SOURCES.get(str(charge["noise_source"]), str(charge["noise_source"])),
        clipping=CLIPPING,
        denominator=terms.get("expected_batch"),
        backend=str(charge["backend"]),
        tensors=_tensors(history, digest),
        extractors=tuple(extractors(study)),
    )


def _tensors(history: History, digest: str) -> dict[str, tuple[int, ...]]:
    """What was sent last."""
    mine = {entry.seq for entry in history.charges if entry.body["digest"] == digest}
    sent = [entry.body["tensors"] for entry in history.all("released") if entry.body["charge"] in mine]
    return {str(name): tuple(shape) for name, shape in sorted(sent[-1].items())} if sent else {}


def extractors(study: Mapping[str, Any]) -> Iterator[Extractor]:
    """The frozen encoders of a study."""
    for modality, key in ENCODED:
        used = study.get("modalities", {}).get(modality) or {}
        if used.get(key):
            yield Extractor(modality=modality, name=str(used[key]), sha256=str(used.get(f"{key}_sha256", "")))


def numbers_of(events: Sequence[Event], delta: float | None, next_round: Event | None) -> Numbers:
    """Block E.

    Parameters
    ----------
    next_round
        What one more round of the current study would release; None where there is none.
    """
    known = merged(events)
    after = None if next_round is None or delta is None else finite(epsilon((*known, next_round), delta))
    figures: dict[str, float | None] = dict.fromkeys(("pld", "pld_replace_one", "prv", "rdp"))
    if delta is not None:
        pld = finite(epsilon(known, delta))
        figures = {
            "pld": pld,
            "pld_replace_one": finite(epsilon(known, delta, "replace_one")),
            "prv": _prv(known, delta) if pld else None,
            "rdp": _rdp(known, delta) if pld else None,
        }
    return Numbers(
        accountant=ACCOUNTANT,
        discretisation=DISCRETISATION,
        delta=delta,
        events=tuple(EventTotal(sample_rate=e.sample_rate, sigma=e.sigma, steps=e.steps) for e in known),
        projected=after,
        **figures,
    )


def _rdp(events: Sequence[Event], delta: float) -> float | None:
    """Some fractional orders do not converge and are left out, which makes it looser only: nobody need read of that."""
    noisy = logging.getLogger("absl")
    before = noisy.level
    noisy.setLevel(logging.ERROR)
    try:
        return finite(rdp_epsilon(events, delta))
    finally:
        noisy.setLevel(before)


def _prv(events: Sequence[Event], delta: float) -> float | None:
    """None where that accountant's grid does not cover the settings, which it says by an error of its own."""
    try:
        return finite(prv_epsilon(events, delta))
    except (ValueError, RuntimeError, OverflowError):
        return None
