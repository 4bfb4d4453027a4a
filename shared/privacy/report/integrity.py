"""Blocks H and I: whether the ledger holds, who has seen it, what went wrong, and that no audit was run."""

import re
from collections import Counter
from collections.abc import Sequence

from shared.errors import Refused
from shared.privacy.ledger import KEY, Ledger
from shared.privacy.report.document import Audit, Integrity
from shared.privacy.report.history import History
from shared.privacy.report.sentences import one_in, rounded_up

__all__ = ["audit_of", "broken_integrity", "integrity_of"]

SHOWN = 20
OWN_KEY = (
    "single user: the key lies beside the ledger, owned by the user who trains. An intruder with that user's rights "
    "could rewrite what the coordinator has not seen yet."
)
OTHER_USER = "two users: the key belongs to another user of the machine, so whoever trains cannot sign."
UNKNOWN_LAYOUT = "not known"
CAUSES = {
    "LEDGER_BROKEN": "The ledger does not hold, or one of ledger and key is missing.",
    "LEDGER_FAILED": "The ledger could not be opened: no access, no space on the disk, or another process holds it.",
    "LEDGER_ROLLED_BACK": "The ledger is older than one that this hospital has shown before.",
}
ENTRY_FAULT = re.compile(r"entry \d+: [^;\n/]*")  # how every fault of a chain begins; paths are left out


def integrity_of(ledger: Ledger, history: History) -> Integrity:
    """Block H: every entry, link and signature is checked again."""
    found, head = ledger.verify(), ledger.head()
    unfinished = sum(history.fates.get(entry.seq) is None for entry in history.charges)
    own = (ledger.file.parent / KEY).exists()
    return Integrity(
        holds=not found.faults,
        entries=found.entries,
        signatures=found.signatures,
        faults=_few(found.faults),
        warnings=_few(found.warnings),
        head_seq=head.seq if head else None,
        head_hash=head.hash if head else "",
        head_signature=head.sig if head else "",
        key=ledger.public_key.hex(),
        key_layout=OWN_KEY if own else OTHER_USER,
        countersigned=_countersigned(history),
        unfinished=unfinished,
        refused=dict(sorted(Counter(str(entry.body["code"]) for entry in history.all("refused")).items())),
    )


def broken_integrity(refused: Refused) -> Integrity:
    """Block H of a ledger that could not be opened; of the message only what names an entry is told, never a path."""
    found = ENTRY_FAULT.findall(str(refused))
    cause = CAUSES.get(refused.code, "The ledger refused to be read.")
    return Integrity(
        holds=False,
        entries=None,
        signatures=None,
        faults=(f"{refused.code}: {cause}", *_few(found)),
        warnings=(),
        head_seq=None,
        head_hash="",
        head_signature="",
        key="",
        key_layout=UNKNOWN_LAYOUT,
        countersigned="not known",
        unfinished=None,
        refused={},
    )


def audit_of(spent: float | None, delta: float | None) -> Audit:
    """Block I while there is no audit."""
    bound = "No upper bound is accounted for."
    if spent is not None and delta is not None:
        bound = f"Accounted upper bound: epsilon = {rounded_up(spent)} at delta {one_in(delta)}."
    return Audit(
        made=False,
        text=f"No empirical audit was run. {bound} There is no empirical lower bound. An audit can find mistakes of "
        "the software; it cannot prove privacy, and a lower bound is never the privacy level.",
    )


def _countersigned(history: History) -> str:
    """What others hold of this ledger."""
    acked = history.all("acked")
    others = {key for entry in history.all("head") for key in entry.body["seen"]}
    if not acked:
        return "the coordinator has not sent a head back yet"
    seq = max(int(entry.body["head_seq"]) for entry in acked)
    text = f"the coordinator has sent back the signed head of entry {seq}, so nothing before it can be changed unseen"
    return text + (
        f"; the heads of other hospitals (keys: {len(others)}) are kept under this signature" if others else ""
    )


def _few(lines: Sequence[str]) -> tuple[str, ...]:
    more = (f"and {len(lines) - SHOWN} more",) if len(lines) > SHOWN else ()
    return (*lines[:SHOWN], *more)
