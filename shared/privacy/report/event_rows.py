"""Block F: every charge and refusal with what became of it, and everything else that was sent."""

from collections.abc import Mapping
from typing import Any, Literal

from shared.privacy.ledger import Entry
from shared.privacy.report.document import EventRow, Release
from shared.privacy.report.history import History

__all__ = ["MOST_ROWS", "event_rows", "releases"]

MOST_ROWS = 300
"""The newest events that a report lists; all of them are in the ledger."""
FATES = {"released": "released", "acked": "acknowledged"}


def event_rows(history: History) -> tuple[tuple[EventRow, ...], int]:
    """The newest rows, oldest first, and how many older ones there are."""
    found = history.all("charge", "refused")
    shown = found[-MOST_ROWS:]
    return tuple(_row(history, entry) for entry in shown), len(found) - len(shown)


def _row(history: History, entry: Entry) -> EventRow:
    body = entry.body
    return EventRow(
        seq=entry.seq,
        time=str(body["ts"]),
        study=history.name(str(body["digest"])) if body.get("digest") else "",
        run=str(body.get("run", "")),
        round=body.get("round"),
        attempt=body.get("attempt"),
        task=str(body.get("task", "")),
        fold=str(body.get("fold", "")),
        sample_rate=body.get("sample_rate"),
        sigma=body.get("sigma"),
        clip=body.get("clip"),
        steps=body.get("steps"),
        epsilon_after=body.get("epsilon"),
        outcome=_outcome(history, entry),
    )


def _outcome(history: History, entry: Entry) -> str:
    if entry.kind == "refused":
        return f"refused: {entry.body['code']}"
    fate = history.fates.get(entry.seq)
    if fate is None:
        return "charged, nothing sent"
    return FATES.get(fate.kind) or f"aborted: {fate.body['code']}"


def releases(history: History) -> tuple[Release, ...]:
    """The `aux` entries, equal ones of one run counted together, oldest first."""
    found: dict[tuple[str, str, str, str, bool, str], list[Entry]] = {}
    for entry in history.all("aux"):
        found.setdefault(_alike(history, entry.body), []).append(entry)
    return tuple(
        Release(
            first=str(entries[0].body["ts"]),
            study=history.name(digest),
            run=run,
            what=what,
            mechanism=mechanism,
            status=_status(unaccounted),
            approver=approver,
            times=len(entries),
        )
        for (digest, run, what, mechanism, unaccounted, approver), entries in found.items()
    )[-MOST_ROWS:]


def _alike(history: History, body: Mapping[str, Any]) -> tuple[str, str, str, str, bool, str]:
    digest = str(body["digest"])
    approver = str(body["approver"]) or history.person(digest)
    return digest, str(body["run"]), str(body["what"]), str(body["mechanism"]), bool(body["unaccounted"]), approver


def _status(unaccounted: bool) -> Literal["charged", "UNACCOUNTED"]:
    return "UNACCOUNTED" if unaccounted else "charged"
