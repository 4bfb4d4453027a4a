"""What this process has verified of each ledger, so that opening one again checks only what is new.

Nothing is taken over when the file was replaced, its schema touched (no row can be changed without dropping a trigger),
or the last verified row is no longer what it was: everything is verified again.
"""

import json
import os
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from sqlite3 import Connection

from shared.errors import Refused
from shared.privacy.chain import Chain, Entry, Row
from shared.privacy.ledger_file import RESTORE, identity, translated
from shared.privacy.tally import Tally

__all__ = ["Verified", "rows", "verified"]

AFTER = "SELECT seq, body, prev, hash, sig FROM entry WHERE seq > ? ORDER BY seq"
AT = "SELECT seq, body, prev, hash, sig FROM entry WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq"


class Verified:
    """The verified part of one ledger, and what it adds up to. Hold `lock` from before a reading transaction begins."""

    def __init__(self, file: Path, site: str, key: bytes) -> None:
        self.file, self.site, self.key = file, site, key
        self.lock = threading.RLock()
        self._identity: tuple[int, int, int] | None = None
        self._last: Row | None = None
        self.chain, self.tally = Chain(site, key), Tally()

    def catch_up(self, connection: Connection) -> None:
        """Verify what `connection`'s transaction sees beyond the verified part; Refused, LEDGER_BROKEN, on a fault."""
        with translated(self.file):
            now = identity(connection, self.file)
            there = next(rows(connection, self.chain.seq - 1), None) if self._last else None
            if now != self._identity or there != self._last:
                self._forget()
            for row in rows(connection, self.chain.seq):
                self._take(row)
            self._identity = now

    def entries(self, connection: Connection, kinds: Sequence[str], after: int) -> list[Entry]:
        """Verified entries of `kinds` (none = all) with `seq > after`, oldest first."""
        if not kinds:
            with translated(self.file):
                return [_entry(row) for row in rows(connection, after) if row.seq <= self.chain.seq]
        found = (self.tally.kinds.get(kind, []) for kind in kinds)
        seqs = sorted(seq for each in found for seq in each[bisect_right(each, after) :])
        return self._read(connection, seqs)

    def last(self, connection: Connection, kinds: Sequence[str]) -> Entry | None:
        """The newest verified entry of `kinds` (none = any)."""
        newest = [self.chain.seq] if not kinds else [self.tally.kinds[k][-1] for k in kinds if self.tally.kinds.get(k)]
        return self.at(connection, max(newest, default=0))

    def at(self, connection: Connection, seq: int) -> Entry | None:
        """Verified entry number `seq`."""
        return next(iter(self._read(connection, [seq])), None)

    def _read(self, connection: Connection, seqs: Sequence[int]) -> list[Entry]:
        with translated(self.file):
            return [_entry(Row(*row)) for row in connection.execute(AT, (json.dumps(seqs),))]

    def _take(self, row: Row) -> None:
        entry = self.chain.take(row)
        if entry is not None and not self.chain.faults:
            try:
                self.tally.add(entry)
            except (KeyError, TypeError, ValueError) as exc:
                self.chain.faults.append(f"entry {row.seq}: a {entry.kind} entry without what it must have: {exc}")
        if self.chain.faults:
            fault = self.chain.faults[0]
            self._forget()
            raise Refused("LEDGER_BROKEN", f"{self.file}: expected an unbroken ledger, got {fault}; {RESTORE}")
        self._last = row

    def _forget(self) -> None:
        self.chain, self.tally = Chain(self.site, self.key), Tally()
        self._identity = self._last = None


_VERIFIED: dict[tuple[Path, str, bytes], Verified] = {}
os.register_at_fork(after_in_child=_VERIFIED.clear)  # another thread may have held a lock, or been half through


def verified(file: Path, site: str, key: bytes) -> Verified:
    """What this process knows of the ledger `file` of `site`, whose signatures must fit the public `key`."""
    name = (file.resolve(), site, key)
    return _VERIFIED.setdefault(name, Verified(file, site, key))


def rows(connection: Connection, after: int) -> Iterator[Row]:
    """The rows after entry `after`, oldest first."""
    return (Row(*row) for row in connection.execute(AFTER, (after,)))


def _entry(row: Row) -> Entry:
    return Entry(row.seq, json.loads(row.body), row.prev, row.hash, row.sig)
