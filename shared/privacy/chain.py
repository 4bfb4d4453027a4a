"""The chain of a ledger: every entry's hash covers the hash before it, and signatures cover hashes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from shared.privacy.head import Head, head_message
from shared.privacy.signer import fits

__all__ = ["GENESIS", "SIGNED", "Chain", "Entry", "Row", "Verification", "entry_hash"]

GENESIS = "0" * 64
SIGNED = frozenset({"policy", "approval", "head"})
SHOWN = 20  # faults or warnings that are listed one by one


class Row(NamedTuple):
    """One entry as it lies in the file."""

    seq: int
    body: str  # canonical JSON
    prev: str
    hash: str
    sig: bytes | None


@dataclass(frozen=True)
class Entry:
    """One entry of a ledger. It never changes and is never removed."""

    seq: int  # from 1
    body: Mapping[str, Any]  # with "kind", "ts" (UTC, ISO 8601, seconds) and "software"
    prev: str  # hash of the entry before it, GENESIS for the first
    hash: str  # hex SHA-256
    sig: bytes | None  # kinds in SIGNED only

    @property
    def kind(self) -> str:
        """What it records."""
        return str(self.body["kind"])


@dataclass(frozen=True)
class Verification:
    """What a walk over a whole ledger found. It holds when there is no fault; warnings cost nothing."""

    entries: int
    signatures: int  # that were checked
    head: Head | None  # the last that was signed for export
    faults: tuple[str, ...]
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """For a person, the verdict first."""
        verdict = "the ledger does NOT hold" if self.faults else "the ledger holds"
        lines = [f"{verdict}: {self.entries} entries, {self.signatures} signatures checked"]
        if self.head is not None:
            lines.append(f"last signed head: entry {self.head.seq}, {self.head.hash}")
        for name, found in (("fault", self.faults), ("warning", self.warnings)):
            lines += [f"{name}: {text}" for text in found[:SHOWN]]
            if len(found) > SHOWN:
                lines.append(f"{name}: and {len(found) - SHOWN} more")
        return lines


def entry_hash(seq: int, prev: str, body: str) -> str:
    """Hex SHA-256 of one entry; `body` is its canonical JSON."""
    return hashlib.sha256(f"mmfed-ledger-v1|{seq}|{prev}|{body}".encode()).hexdigest()


@dataclass
class Chain:
    """A walk along a ledger, entry by entry, oldest first.

    A truncated tail or an older copy is a sound chain: only a head that was shown to others betrays it.
    """

    site: str
    key: bytes  # the public key that must have signed
    seq: int = 0  # of the last entry taken, 0 before the first
    hash: str = GENESIS
    ts: str = ""
    parent: str = ""  # what the next signature names: the hash of the last `head` entry
    head: Head | None = None  # that entry, if it is genuine
    signatures: int = 0
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def take(self, row: Row) -> Entry | None:
        """Check the next row against all before it, note its faults and warnings, and go on from it.

        None when its body cannot be read.
        """
        seq, text, prev, hash_, sig = row
        self._link(row)
        self.seq, self.hash = seq, hash_
        try:
            body = json.loads(text)
            kind, ts = str(body["kind"]), str(body["ts"])
        except (ValueError, KeyError, TypeError):
            self.faults.append(f"entry {seq}: expected JSON with kind and ts, got something else")
            return None
        if ts < self.ts:
            self.warnings.append(f"entry {seq}: dated {ts}, before the entry ahead of it ({self.ts}): clock set back")
        self.ts = ts
        if kind in SIGNED:
            self._signature(row, body)
        if kind == "head":
            self.parent = hash_
        return Entry(seq, body, prev, hash_, sig)

    def verification(self, *more_warnings: str) -> Verification:
        """What the walk has found so far."""
        warnings = (*self.warnings, *more_warnings)
        return Verification(self.seq, self.signatures, self.head, tuple(self.faults), warnings)

    def _link(self, row: Row) -> None:
        """The faults are told apart, since one change must not accuse the entries that follow it."""
        if row.seq != self.seq + 1:
            self.faults.append(f"entry {row.seq}: expected entry {self.seq + 1} after {self.seq}: entries are missing")
        elif row.prev != self.hash:
            self.faults.append(f"entry {row.seq}: it was written after another entry {self.seq} than the one there now")
        if entry_hash(row.seq, row.prev, row.body) != row.hash:
            self.faults.append(f"entry {row.seq}: its content does not have its hash: it was changed")

    def _signature(self, row: Row, body: Mapping[str, Any]) -> None:
        kind, seq = body["kind"], row.seq
        if kind == "policy" and body.get("site") != self.site:
            self.faults.append(f"entry {seq}: expected the ledger of site {self.site}, got that of {body.get('site')}")
            return
        if kind == "head" and body.get("parent") != self.parent:
            self.faults.append(f"entry {seq}: expected a head that follows the last one, got another parent")
        self.signatures += 1
        if row.sig is None:
            self.faults.append(f"entry {seq}: expected a signature on a {kind} entry, got none")
        elif not fits(self.key, row.sig, head_message(self.site, seq, row.hash, self.parent)):
            self.faults.append(f"entry {seq}: its signature was not made by the key of this ledger")
        elif kind == "head":
            self.head = Head(self.site, seq, row.hash, self.parent, self.key.hex(), row.sig.hex())
