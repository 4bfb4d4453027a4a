"""From a report to its pages: page 1 for everybody, page 2 promised beside not promised, then the particulars."""

import re
from collections.abc import Iterator

from shared.privacy.report.document import Report
from shared.privacy.report.event_tables import events_block
from shared.privacy.report.layout import (
    Bar,
    Bars,
    Block,
    Bullets,
    Facts,
    Grid,
    Layout,
    Part,
    Statuses,
    Text,
    Tile,
    Tiles,
)
from shared.privacy.report.not_known import NOT_KNOWN, UNKNOWN, bound, unknown
from shared.privacy.report.particulars import particulars
from shared.privacy.report.promise import two_hospitals
from shared.privacy.report.provenance import SIMULATION
from shared.privacy.report.records import records
from shared.privacy.report.sentences import left_of, moment, one_in, rounded_down, rounded_up
from shared.privacy.report.verdict import MOST_ROUNDS

__all__ = ["layout_of"]

TONES = {"WITHIN CAP": "good", "CAP REACHED": "used", "NOT PRIVATE": "bad", "LEDGER BROKEN": "broken"}
PRIVACY = {
    "on": "Differential privacy: on",
    "off": "Differential privacy: off",
    "test": "Differential privacy: test only, with noise that is known",
    "partly": "Differential privacy: on in some studies, off in others",
    "none": "Differential privacy: nothing was trained yet",
    "unknown": "Differential privacy: not known",
}
SAME_FOR_ALL = "The figure is the same for all of them: what is done with an update later cannot undo its noise."
TOLD = 4  # adversaries of page 1: an update seen alone is on page 2


def layout_of(report: Report) -> Layout:
    """The pages of a site's or a consortium's report."""
    verdict = report.verdict
    simulation = "Simulation · " if report.provenance.policy_approver == SIMULATION else ""
    return Layout(
        kicker="Privacy budget report",
        title=report.title,
        subtitle=f"{simulation}{PRIVACY[verdict.privacy]} · {moment(report.created)} UTC",
        word=verdict.word,
        tone=TONES[verdict.word],  # type: ignore[arg-type]
        first=(_verdict(report), _meaning(report)),
        left=_promise(report),
        right=_not_covered(report),
        rest=(*particulars(report), events_block(report), *records(report)),
        footer=f"{report.title} · {moment(report.created)} UTC · {verdict.word}",
        stamp=re.sub(r"[^\w .:·-]", "", f"{report.title} · {moment(report.created)} UTC · {verdict.word}"),
    )


def _verdict(report: Report) -> Block:
    verdict = report.verdict
    sentences = tuple(Text(sentence) for sentence in verdict.sentences)
    return Block("A", "Verdict", (*sentences, Tiles(_tiles(report)), Text(verdict.worst)))


def _tiles(report: Report) -> tuple[Tile, ...]:
    verdict, consortium = report.verdict, report.scope == "consortium"
    whose = "privacy loss of the hospital that spent most" if consortium else "privacy loss spent (epsilon)"
    if verdict.cap is None:
        limit = NOT_KNOWN if verdict.word == "LEDGER BROKEN" else "none"
    else:
        limit = rounded_down(verdict.cap)
    left = "–" if verdict.spent is None or verdict.cap is None else left_of(verdict.cap, verdict.spent)
    return (
        Tile(bound(report, verdict.spent), whose),
        Tile(limit, "limit of this study for each hospital" if consortium else "limit set by this hospital"),
        Tile(left, "left"),
        _last_tile(report),
    )


def _last_tile(report: Report) -> Tile:
    verdict = report.verdict
    if report.scope == "consortium":
        refused = sum(bool(line.refused) for line in report.sites)
        return Tile(str(len(report.sites)), "hospitals", f"{refused} of them refused" if refused else "none refused")
    if verdict.rounds_left is None:
        return Tile("–", "rounds left")
    more = "+" if verdict.rounds_left == MOST_ROUNDS else ""
    study = f" of {verdict.study}" if verdict.study else ""
    return Tile(
        f"{verdict.rounds_left:,}{more}", f"more rounds{study} fit below the limit", _to_run(verdict.rounds_to_run)
    )


def _to_run(rounds: int | None) -> str:
    if rounds is None:
        return ""
    return f"its run has {rounds} to go" if rounds else "its run is done"


def _meaning(report: Report) -> Block:
    first, *others = report.meaning.sentences
    return Block("B", "What this means for a patient", (Text(first, "lead"), Bullets(tuple(others)), _bars(report)))


def _bars(report: Report) -> Bars:
    cap = report.verdict.cap
    bars = []
    for adversary in report.promise.adversaries[:TOLD]:
        if adversary.epsilon is None or not cap:
            bars.append(Bar(adversary.name, None, bound(report, adversary.epsilon)))
        else:
            text = f"{rounded_up(adversary.epsilon)} of {rounded_down(cap)}"
            bars.append(Bar(adversary.name, min(1.0, adversary.epsilon / cap), text))
    return Bars("Privacy loss spent, of the limit, by who wants to know", tuple(bars))


def _promise(report: Report) -> Block:
    return Block("C", "What is promised", tuple(_promised(report)))


def _promised(report: Report) -> Iterator[Part]:
    found = report.promise
    if report.verdict.word in ("NOT PRIVATE", "LEDGER BROKEN"):
        yield Text("Nothing is promised.", "lead")
        yield Text(" ".join(report.verdict.sentences))
    yield Text(found.mode)
    yield Text(f"What counts as one: {found.unit[0].lower()}{found.unit[1:]}")
    yield Text(f"What is compared: {found.neighbours[0].lower()}{found.neighbours[1:]}")
    yield Facts(
        (
            ("Epsilon, a patient is there or not", bound(report, found.epsilon)),
            ("Epsilon, one patient is exchanged", bound(report, found.epsilon_replace_one)),
            ("Epsilon, a patient of two hospitals", bound(report, found.epsilon_two_hospitals)),
            ("Delta", "–" if found.delta is None or found.epsilon is None else one_in(found.delta)),
        )
    )
    if found.epsilon_two_hospitals is not None:
        yield Text(two_hospitals(found), "small")
    if found.delta_reason:
        yield Text(found.delta_reason, "small")
    yield Grid(
        "Against whom",
        ("Who", "Sees", "Epsilon", "Exchanged"),
        tuple(
            (f"{who.name} ({who.code})", who.sees, bound(report, who.epsilon), bound(report, who.epsilon_replace_one))
            for who in found.adversaries
        ),
        (0.28, 0.28, 0.21, 0.23) if found.epsilon is None else (0.28, 0.32, 0.17, 0.23),
        frozenset({2, 3}),
        small=True,
    )
    if found.epsilon is not None:
        yield Text(SAME_FOR_ALL, "small")


def _not_covered(report: Report) -> Block:
    rows = tuple(
        (
            row.what,
            row.status,
            row.approver if row.status == "UNACCOUNTED" else "",
            row.note,
            row.status == "UNACCOUNTED",
        )
        for row in report.not_covered.releases
    )
    parts: list[Part] = [Text("What left without being counted in epsilon, if it did:")]
    parts.append(Text(UNKNOWN, "lead") if unknown(report) else Statuses(rows))
    parts += [Text("What no noise protects", "heading"), Bullets(report.not_covered.facts, small=True)]
    return Block("G", "What is not promised", tuple(parts))
