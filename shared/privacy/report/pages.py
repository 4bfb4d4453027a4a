"""From a report to its pages: page 1 for everybody, page 2 promised beside not promised, then the particulars."""

from collections.abc import Iterator

from shared.privacy.report.document import Report, Verdict
from shared.privacy.report.layout import Bar, Bars, Block, Bullets, Facts, Grid, Layout, Part, Statuses, Text, Tile, Tiles
from shared.privacy.report.particulars import particulars
from shared.privacy.report.promise import two_hospitals
from shared.privacy.report.sentences import NO_BOUND, left_of, moment, one_in, rounded_down, rounded_up
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
NOT_KNOWN = "not known"
TOLD = 4  # adversaries of page 1: an update seen alone is on page 2


def layout_of(report: Report) -> Layout:
    """The pages of a site's or a consortium's report."""
    verdict = report.verdict
    return Layout(
        kicker="Privacy budget report",
        title=report.title,
        subtitle=f"{PRIVACY[verdict.privacy]} · {moment(report.created)} UTC",
        word=verdict.word,
        tone=TONES[verdict.word],  # type: ignore[arg-type]
        first=(_verdict(report), _meaning(report)),
        left=_promise(report),
        right=_not_covered(report),
        rest=tuple(particulars(report)),
        footer=f"mmfed privacy budget report · {report.title} · {moment(report.created)} UTC",
    )


def _verdict(report: Report) -> Block:
    verdict = report.verdict
    sentences = tuple(Text(sentence) for sentence in verdict.sentences)
    return Block("A", "Verdict", (*sentences, Tiles(_tiles(report)), Text(verdict.worst, "small")))


def _tiles(report: Report) -> tuple[Tile, ...]:
    verdict, consortium = report.verdict, report.scope == "consortium"
    unknown = NOT_KNOWN if verdict.word == "LEDGER BROKEN" else NO_BOUND
    spent = unknown if verdict.spent is None else rounded_up(verdict.spent)
    whose = "privacy loss of the hospital that spent most" if consortium else "privacy loss spent (epsilon)"
    if verdict.cap is None:
        limit = NOT_KNOWN if verdict.word == "LEDGER BROKEN" else "none"
    else:
        limit = rounded_down(verdict.cap)
    left = "–" if verdict.spent is None or verdict.cap is None else left_of(verdict.cap, verdict.spent)
    return (
        Tile(spent, whose),
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
    return Tile(f"{verdict.rounds_left:,}{more}", "more rounds fit below the limit", _to_run(verdict))


def _to_run(verdict: Verdict) -> str:
    study = f"of {verdict.study}" if verdict.study else ""
    if verdict.rounds_to_run is None:
        return study
    return f"{study}, which has {verdict.rounds_to_run} still to run" if verdict.rounds_to_run else f"{study}, which is done"


def _meaning(report: Report) -> Block:
    first, *others = report.meaning.sentences
    return Block("B", "What this means for a patient", (Text(first, "lead"), Bullets(tuple(others)), _bars(report)))


def _bars(report: Report) -> Bars:
    cap = report.verdict.cap
    bars = []
    for adversary in report.promise.adversaries[:TOLD]:
        if adversary.epsilon is None or not cap:
            text = NOT_KNOWN if report.verdict.word == "LEDGER BROKEN" else NO_BOUND
            bars.append(Bar(adversary.name, None, text))
        else:
            text = f"{rounded_up(adversary.epsilon)} of {rounded_down(cap)}"
            bars.append(Bar(adversary.name, min(1.0, adversary.epsilon / cap), text))
    return Bars("Privacy loss spent, of the limit, by who wants to know", tuple(bars))


def _promise(report: Report) -> Block:
    return Block("C", "What is promised", tuple(_promised(report)))


def _promised(report: Report) -> Iterator[Part]:
    found = report.promise
    yield Text(found.unit)
    yield Text(found.mode)
    yield Text(f"Compared are two sets of patients. {found.neighbours}")
    if report.verdict.word in ("NOT PRIVATE", "LEDGER BROKEN"):
        yield Text("Nothing is promised: " + " ".join(report.verdict.sentences), "lead")
    yield Facts(
        (
            ("Epsilon, a patient is there or not", rounded_up(found.epsilon)),
            ("Epsilon, one patient is exchanged", rounded_up(found.epsilon_replace_one)),
            ("Epsilon, a patient of two hospitals", rounded_up(found.epsilon_two_hospitals)),
            ("Delta", NOT_KNOWN if found.delta is None else one_in(found.delta)),
        )
    )
    yield Text(two_hospitals(found), "small")
    if found.delta_reason:
        yield Text(found.delta_reason, "small")
    yield Grid(
        "Against whom",
        ("Who", "sees", "Epsilon", "exchanged"),
        tuple(
            (f"{who.name} ({who.code})", who.sees, rounded_up(who.epsilon), rounded_up(who.epsilon_replace_one))
            for who in found.adversaries
        ),
        (0.33, 0.37, 0.15, 0.15),
        frozenset({2, 3}),
        small=True,
    )
    if found.epsilon is not None:
        yield Text("The figure is the same for all of them: what is done with an update later cannot undo its noise.", "small")


def _not_covered(report: Report) -> Block:
    rows = tuple(
        (
            row.what,
            f"{row.status}, approved by {row.approver}" if row.status == "UNACCOUNTED" else row.status,
            row.note,
            row.status == "UNACCOUNTED",
        )
        for row in report.not_covered.releases
    )
    parts: list[Part] = [Text("What left without being counted in epsilon, if it did:")]
    parts.append(Statuses(rows) if rows else Text("Not known: the ledger cannot be relied on.", "lead"))
    parts += [Text("What no noise protects", "heading"), Bullets(report.not_covered.facts, small=True)]
    return Block("G", "What is not promised", tuple(parts))
