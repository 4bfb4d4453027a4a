"""Ledger heads: what every site last showed of its ledger, so that none can be cut, put back or copied unseen.

A site signs the end of its ledger with every private reply. The coordinator keeps those heads over all runs, sends the
last one back with the next order (the site refuses if it is no longer in its chain) and tells the other sites of it.
It refuses a site that shows two heads with one parent, which only a copied or restored ledger does, or another key.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from server.checkpoint import write_atomically
from server.exchange import Rejected
from shared.digests import sha256_bytes
from shared.errors import WorkFailed
from shared.privacy.head import Head

__all__ = ["FILE", "Heads"]

FILE = "ledger-heads.json"


@dataclass
class Heads:
    """The heads of every site, oldest first; kept in `file`, or in memory without one.

    Raises
    ------
    WorkFailed
        The file is damaged.
    """

    file: Path | None = None
    seen: dict[str, list[Head]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.file is None or not self.file.is_file():
            return
        try:
            told: dict[str, list[str]] = json.loads(self.file.read_text(encoding="utf-8"))
            self.seen = {site: [Head.parse(text) for text in texts] for site, texts in told.items()}
        except (ValueError, AttributeError, TypeError) as exc:
            raise WorkFailed(
                f"{self.file}: expected the ledger heads of earlier runs, got something else: {exc}; restore the file "
                "from a backup, since without it a site could show an older ledger"
            ) from exc

    def take(self, site: str, text: str) -> Head:
        """Keep the head that came with a reply of `site`.

        Raises
        ------
        Rejected
            There is none, it is not genuine, or it does not follow from what the site has shown before.
        """
        try:
            head = Head.parse(text)
        except ValueError as exc:
            raise Rejected("expected a signed ledger head, got none that can be read") from exc
        if head.site != site or not head.genuine():
            raise Rejected("expected a ledger head signed by the site, got one that is not genuine")
        earlier = self.seen.setdefault(site, [])
        fault = _fault(head, earlier)
        if fault:
            raise Rejected(fault)
        if head not in earlier:
            earlier.append(head)
            self._write()
        return head

    def echo(self, site: str) -> str:
        """The last head of `site`, to be sent back to it; "" before the first."""
        return self.seen[site][-1].text() if self.seen.get(site) else ""

    def told_to(self, site: str) -> str:
        """The last heads of all others, by the fingerprint of their keys, since names of sites may be private."""
        others = {
            sha256_bytes(bytes.fromhex(heads[-1].key))[:16]: [heads[-1].seq, heads[-1].hash]
            for other, heads in sorted(self.seen.items())
            if other != site and heads
        }
        return json.dumps(others, sort_keys=True) if others else ""

    def last(self) -> Mapping[str, Head]:
        """The last head of every site."""
        return {site: heads[-1] for site, heads in self.seen.items() if heads}

    def _write(self) -> None:
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            content = {site: [head.text() for head in heads] for site, heads in sorted(self.seen.items())}
            write_atomically(self.file, json.dumps(content, indent=1).encode())


def _fault(head: Head, earlier: list[Head]) -> str:
    """How `head` contradicts what the site has shown before, or ""."""
    if not earlier or head in earlier:
        return ""
    if head.key != earlier[-1].key:
        return (
            "expected the ledger key this site has always used, got another: its ledger was made anew, so what it has "
            f"spent is not known; if the hospital confirms it, remove its rows from {FILE}"
        )
    if any(head.parent == other.parent or head.seq == other.seq for other in earlier):
        return "expected one ledger, got two heads with one parent: a copy or a restored backup of it is in use"
    if head.seq < earlier[-1].seq:
        return "expected a ledger head after the last one, got an older one: a copy or a restored backup is in use"
    return ""
