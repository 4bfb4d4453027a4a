"""Ledger entries and spending as lines of a terminal."""

from collections.abc import Iterator

from shared.privacy.budget import Spending
from shared.privacy.ledger import Entry
from shared.privacy.report.sentences import rounded_up

__all__ = ["entry_line", "spending_lines"]

SHOWN = {
    "policy": ("epsilon_cap", "delta", "approver"),
    "approval": ("name", "digest", "mode", "epsilon_alone", "person"),
    "revoked": ("approval", "person", "reason"),
    "cohort": ("cohort", "version", "bucket", "excluded"),
    "charge": ("digest", "run", "round", "attempt", "sample_rate", "sigma", "steps", "epsilon"),
    "refused": ("digest", "run", "round", "code", "epsilon"),
    "released": ("charge", "sha256", "bytes"),
    "acked": ("charge", "head_seq"),
    "aborted": ("charge", "code"),
    "aux": ("run", "what", "mechanism", "approver"),
    "head": ("run", "round"),
}
SHORT = 12  # digits of a hash


def entry_line(entry: Entry) -> str:
    """One entry: number, time, kind, and what a person looks for."""
    facts = (f"{name} {_text(entry.body[name])}" for name in SHOWN.get(entry.kind, ()) if name in entry.body)
    return f"{entry.seq:6}  {entry.body['ts']}  {entry.kind:<9} {', '.join(facts)}".rstrip()


def spending_lines(spent: Spending) -> Iterator[str]:
    """What is spent of what, in both relations."""
    of = f"{rounded_up(spent.epsilon)} of {spent.cap:g}"
    yield f"epsilon {of} spent at delta {spent.delta:g} (add/remove one patient)"
    yield f"epsilon {rounded_up(spent.epsilon_replace_one)} if one patient is exchanged for another"


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text[:SHORT] if len(text) == 64 else text
