"""One transaction on a ledger: read everything that was committed, then append."""

import json
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import Any

import structlog

from shared import __version__
from shared.digests import canonical_json
from shared.privacy.chain import SIGNED, Entry, entry_hash
from shared.privacy.events import Event, merged
from shared.privacy.head import head_message
from shared.privacy.ledger_file import translated
from shared.privacy.signer import Signer
from shared.privacy.tally import Tally, charged_event
from shared.privacy.verified import Verified

__all__ = ["KINDS", "Writer", "now"]

log = structlog.get_logger()

KINDS = SIGNED | {"revoked", "cohort", "charge", "refused", "released", "acked", "aborted", "aux", "audit"}
OWN_FIELDS = {"kind", "ts", "software"}


def now() -> str:
    """The machine's time in UTC, ISO 8601, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Writer:
    """Nothing else can be committed until the transaction ends, and nothing of it stands unless it is committed."""

    def __init__(self, connection: Connection, known: Verified, signer: Signer) -> None:
        chain = known.chain
        self._connection, self._known, self._signer = connection, known, signer
        self._seq, self._hash, self._ts, self._parent = chain.seq, chain.hash, chain.ts, chain.parent
        self._own: list[Entry] = []
        self.tally: Tally = known.tally
        """Of what was committed before."""

    def entries(self, *kinds: str, after: int = 0) -> list[Entry]:
        """Entries of `kinds` (none = all) with `seq > after`, oldest first, this transaction's own at the end."""
        own = [entry for entry in self._own if entry.seq > after and (not kinds or entry.kind in kinds)]
        return self._known.entries(self._connection, kinds, after) + own

    def last(self, *kinds: str) -> Entry | None:
        """The newest entry of `kinds`."""
        own = [entry for entry in self._own if not kinds or entry.kind in kinds]
        return own[-1] if own else self._known.last(self._connection, kinds)

    def spent(self) -> tuple[Event, ...]:
        """Everything ever charged, merged."""
        own = (charged_event(entry) for entry in self._own if entry.kind == "charge")
        return merged((*self.tally.events(), *own))

    def append(self, kind: str, /, **body: Any) -> Entry:
        """The next entry, signed where its kind asks for it.

        Raises
        ------
        ValueError, KeyError, TypeError
            An unknown kind, a field that is the ledger's own, a value JSON does not have, a charge without its terms.
        Refused
            LEDGER_FAILED: it could not be written or signed; let the transaction end with this error.
        """
        if kind not in KINDS or OWN_FIELDS & body.keys():
            raise ValueError(
                f"expected a kind of {', '.join(sorted(KINDS))} and no field {', '.join(sorted(OWN_FIELDS))}, got "
                f"{kind} with {', '.join(sorted(body))}; rename it"
            )
        seq, ts = self._seq + 1, now()
        text = canonical_json({**body, "kind": kind, "ts": ts, "software": f"mmfed {__version__}"})
        hash_ = entry_hash(seq, self._hash, text)
        sig = self._signer.sign(head_message(self._known.site, seq, hash_, self._parent)) if kind in SIGNED else None
        entry = Entry(seq, json.loads(text), self._hash, hash_, sig)
        Tally().add(entry)  # what a ledger cannot add up must not get into it
        with translated(self._known.file):
            self._connection.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?)", (seq, text, entry.prev, hash_, sig))
        if ts < self._ts:
            log.warning("clock set back", site=self._known.site, entry=seq, now=ts, entry_before=self._ts)
        self._seq, self._hash, self._ts = seq, hash_, ts
        if kind == "head":
            self._parent = hash_
        self._own.append(entry)
        return entry
