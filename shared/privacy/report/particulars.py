"""Blocks D and E: how the noise was made and what it adds up to, for those who check the figures."""

from collections.abc import Iterator

from shared.privacy.report.document import Mechanism, Report
from shared.privacy.report.layout import Block, Facts, Grid, Part, Text
from shared.privacy.report.not_known import UNKNOWN, unknown
from shared.privacy.report.sentences import figure, one_in, rounded_up

__all__ = ["particulars"]

DASH = "–"
MOST_TENSORS = 60
"""So many names of tensors are printed; the JSON has all."""


def particulars(report: Report) -> Iterator[Block]:
    """The blocks after page 2 up to the numbers, in order."""
    yield Block("D", "How", tuple(_how(report)))
    yield Block("E", "Numbers", tuple(_numbers(report)))


def _how(report: Report) -> Iterator[Part]:
    if unknown(report):
        yield Text(UNKNOWN)
        return
    if not report.mechanisms:
        yield Text("No training with noise was charged.")
    for used in report.mechanisms:
        yield Text(used.study, "heading")
        yield Facts(tuple(_terms(used)))
        yield from _sent(used)


def _terms(used: Mechanism) -> Iterator[tuple[str, str]]:
    limit = "" if used.epsilon is None else f", at most epsilon {figure(used.epsilon)} a run and hospital"
    rounds = "" if used.rounds is None else f", {used.rounds} rounds"
    yield "Mode", f"{used.mode}{limit}"
    yield "Clipping", f"norm C = {figure(used.clip)}: {used.clipping}"
    yield (
        "Noise",
        f"Gaussian, sigma = {figure(used.sigma)}; standard deviation {figure(used.sigma * used.clip)} on every sum",
    )
    yield "Noise source", used.noise_source
    yield "Sampling", f"q = {figure(used.sample_rate)}. {used.sampler}"
    yield "Steps", f"{used.steps_per_round} a round{rounds}"
    if used.denominator is not None:
        yield "Denominator", f"{figure(used.denominator)} patients, public, whatever was drawn"
    yield "Back-end", used.backend
    for frozen in used.extractors:
        sha = frozen.sha256 or "of the pinned package"
        yield f"Frozen encoder, {frozen.modality}", f"{frozen.name}, SHA-256 {sha}"


def _sent(used: Mechanism) -> Iterator[Part]:
    if not used.tensors:
        return
    count = sum(_size(shape) for shape in used.tensors.values())
    yield Text(
        f"Trained and sent with noise: {len(used.tensors)} tensors, {count:,} numbers. Nothing else of the model is."
    )
    names = [f"{name} {' × '.join(map(str, shape)) or '1'}" for name, shape in used.tensors.items()]
    left_out = len(names) - MOST_TENSORS
    more = f"; and {left_out} more, which the JSON names" if left_out > 0 else ""
    yield Text("; ".join(names[:MOST_TENSORS]) + more, "small")


def _size(shape: tuple[int, ...]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def _numbers(report: Report) -> Iterator[Part]:
    if unknown(report):
        yield Text(UNKNOWN)
        return
    found = report.numbers
    yield Facts(
        (
            ("Accountant of record", found.accountant),
            ("Discretisation", f"{figure(found.discretisation)}, pessimistic"),
            ("Delta", DASH if found.delta is None else f"{figure(found.delta)} ({one_in(found.delta)})"),
            ("With one more round", DASH if found.projected is None else rounded_up(found.projected)),
        )
    )
    if not found.events:
        yield Text("Nothing was charged, so there is nothing to add up.")
        return
    if report.verdict.word == "NOT PRIVATE":
        yield Text("NOT PRIVATE: these figures would hold for the charges alone, with noise that nobody knows.", "lead")
    yield Grid(
        "Epsilon of everything charged" if report.scope == "site" else "Epsilon of the hospital that was charged most",
        ("Accountant", "Epsilon", "Reading"),
        (
            ("PLD, with or without a patient", rounded_up(found.pld), "of record"),
            ("PLD, one patient exchanged", rounded_up(found.pld_replace_one), "of record"),
            ("PRV (Opacus)", _or_dash(found.prv), "independent check; differs by at most 0.02"),
            ("RDP", _or_dash(found.rdp), "looser upper bound, for comparison"),
        ),
        (0.4, 0.15, 0.45),
        frozenset({1}),
    )
    yield Grid(
        "What was added up",
        ("q", "sigma", "Steps"),
        tuple((figure(e.sample_rate), figure(e.sigma), f"{e.steps:,}") for e in found.events),
        (0.12, 0.12, 0.12),
        frozenset({0, 1, 2}),
    )


def _or_dash(epsilon: float | None) -> str:
    return "not computed" if epsilon is None else rounded_up(epsilon)
