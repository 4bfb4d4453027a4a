"""Block F: every charge and refusal, run by run, what else was sent, and the hospitals of a consortium."""

from collections.abc import Iterator, Sequence

from shared.privacy.report.document import EventRow, Release, Report
from shared.privacy.report.layout import Block, Grid, Part, Text
from shared.privacy.report.not_known import UNKNOWN, unknown
from shared.privacy.report.sentences import moment, rounded_up

__all__ = ["events_block"]

DASH = "–"


def events_block(report: Report) -> Block:
    """The events of a site, or the hospitals of a run."""
    if report.scope == "consortium":
        return Block("F", "Hospitals", (_sites(report),))
    return Block("F", "Events", tuple(_events(report)))


def _events(report: Report) -> Iterator[Part]:
    if unknown(report):
        yield Text(UNKNOWN)
    elif report.events:
        older = f", the newest; {report.events_before:,} older ones are in the ledger" if report.events_before else ""
        yield Text(f"Charges and refusals{older}. Times are UTC. A charge is never refunded, whatever became of it.")
        runs: dict[tuple[str, str], list[EventRow]] = {}
        for row in report.events:
            runs.setdefault((row.study, row.run), []).append(row)
        for (study, run), rows in runs.items():
            yield _run(study, run, rows)
        yield Text("Epsilon after: of everything ever charged here, this round included.", "small")
    else:
        yield Text("No round was charged or refused.")
    if report.released:
        yield _released(report.released)


def _run(study: str, run: str, rows: Sequence[EventRow]) -> Grid:
    tasks = dict.fromkeys(f"{row.task}, fold {row.fold}" for row in rows if row.task)
    return Grid(
        " · ".join([study or "no study", *([f"run {run}"] if run else []), *tasks]),
        ("Entry", "Time", "Round", "Attempt", "q", "sigma", "C", "Steps", "Epsilon after", "Outcome"),
        tuple(
            (
                str(row.seq),
                moment(row.time),
                _count(row.round),
                _count(row.attempt),
                _constant(row.sample_rate),
                _constant(row.sigma),
                _constant(row.clip),
                _count(row.steps),
                DASH if row.epsilon_after is None else rounded_up(row.epsilon_after),
                row.outcome,
            )
            for row in rows
        ),
        (0.065, 0.155, 0.07, 0.085, 0.07, 0.075, 0.06, 0.07, 0.1, 0.25),
        frozenset({0, 2, 3, 4, 5, 6, 7, 8}),
        small=True,
    )


def _released(sent: Sequence[Release]) -> Grid:
    return Grid(
        "Everything else that was sent",
        ("First sent", "Study and run", "What", "Mechanism", "Times", "Status"),
        tuple(
            (
                moment(one.first),
                f"{one.study}, run {one.run}",
                one.what,
                one.mechanism,
                f"{one.times:,}",
                f"{one.status}, approved by {one.approver or 'nobody'}" if one.status == "UNACCOUNTED" else one.status,
            )
            for one in sent
        ),
        (0.13, 0.2, 0.28, 0.11, 0.07, 0.21),
        frozenset({4}),
        small=True,
    )


def _sites(report: Report) -> Grid:
    return Grid(
        "Every hospital of the run",
        ("Hospital", "Patients", "Mode", "Rounds charged", "Epsilon", "exchanged", "Ledger head", "Refused"),
        tuple(
            (
                line.site,
                line.bucket or DASH,
                line.mode,
                f"{line.charges:,}",
                rounded_up(line.epsilon),
                rounded_up(line.epsilon_replace_one),
                line.head if line.head_seq is None else f"{line.head}: entry {line.head_seq}, {line.head_hash[:16]}",
                line.refused or DASH,
            )
            for line in report.sites
        ),
        (0.12, 0.1, 0.07, 0.1, 0.1, 0.11, 0.2, 0.2),
        frozenset({3, 4, 5}),
        small=True,
    )


def _count(value: int | None) -> str:
    return DASH if value is None else f"{value:,}"


def _constant(value: float | None) -> str:
    return DASH if value is None else f"{value:.4g}"
