"""A ledger read once, in the terms of the report."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from shared.privacy.events import Event, merged
from shared.privacy.ledger import Entry, Ledger
from shared.privacy.tally import charged_event

__all__ = ["History"]

SHORT = 12  # digits of a digest that stand for a study without a name


@dataclass(frozen=True)
class History:
    """Every entry by its kind, oldest first."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, ledger: Ledger) -> "History":
        """All that `ledger` holds now. Refused as the ledger refuses."""
        return cls(tuple(ledger.entries()))

    def all(self, *kinds: str) -> tuple[Entry, ...]:
        """Entries of `kinds`."""
        found = [self._kinds.get(kind, []) for kind in kinds]
        return tuple(found[0]) if len(found) == 1 else tuple(sorted(chain(*found), key=lambda entry: entry.seq))

    def last(self, kind: str) -> Entry | None:
        """The newest of a kind."""
        found = self._kinds.get(kind)
        return found[-1] if found else None

    @cached_property
    def charges(self) -> tuple[Entry, ...]:
        """Everything that was spent."""
        return self.all("charge")

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The same, merged."""
        return merged(charged_event(entry) for entry in self.charges)

    @cached_property
    def fates(self) -> Mapping[int, Entry]:
        """Charge -> what became of it last: a `released`, `acked` or `aborted` entry."""
        return {int(entry.body["charge"]): entry for entry in self.all("released", "acked", "aborted")}

    @cached_property
    def approvals(self) -> tuple[Entry, ...]:
        """The newest approval of every study, oldest first."""
        newest = {str(entry.body["digest"]): entry for entry in self.all("approval")}
        return tuple(sorted(newest.values(), key=lambda entry: entry.seq))

    @cached_property
    def revoked(self) -> Mapping[int, Entry]:
        """Approval -> the entry that withdrew it."""
        return {int(entry.body["approval"]): entry for entry in self.all("revoked")}

    def approval(self, digest: str) -> Entry | None:
        """The newest approval of a study, even if it was withdrawn."""
        return next((entry for entry in self.approvals if entry.body["digest"] == digest), None)

    def study(self, digest: str) -> Mapping[str, Any]:
        """The content of an approved study; empty where there is none."""
        found = self.approval(digest)
        return found.body["study"] if found else {}

    def name(self, digest: str) -> str:
        """The name of a study; names alone can be equal, so a second study of one name has its digest beside it."""
        found = self.approval(digest)
        if found is None:
            return digest[:SHORT]
        name = str(found.body["name"])
        return name if self._names[name] == 1 else f"{name} ({digest[:SHORT]})"

    def person(self, digest: str) -> str:
        """Who approved a study."""
        found = self.approval(digest)
        return str(found.body["person"]) if found else ""

    @cached_property
    def ran(self) -> tuple[str, ...]:
        """Digests of the studies that ever spent or sent anything, the one that did so last at the end."""
        last = {str(e.body["digest"]): e.seq for e in self.all("charge", "aux")}
        return tuple(sorted(last, key=lambda digest: last[digest]))

    @cached_property
    def plain(self) -> tuple[str, ...]:
        """Of those, the ones that sent updates without noise: not approved as private, and never charged."""
        charged = {entry.body["digest"] for entry in self.charges}
        return tuple(digest for digest in self.ran if digest not in charged and self._mode(digest) == "off")

    @cached_property
    def test_noise(self) -> bool:
        """Whether any noise came from a known seed."""
        return any(entry.body["noise_source"] == "test-seeded" for entry in self.charges)

    @property
    def current(self) -> str:
        """Digest of the study that was active last, else of the newest approval that stands, else ""."""
        standing = [e for e in self.approvals if e.seq not in self.revoked]
        return self.ran[-1] if self.ran else str(standing[-1].body["digest"]) if standing else ""

    @cached_property
    def round_event(self) -> Event | None:
        """What one more round of the current study would release; None without privacy."""
        found = self.approval(self.current)
        terms = found.body["terms"] if found else None
        if terms:
            return Event(float(terms["sample_rate"]), float(terms["sigma"]), int(terms["steps_per_round"]))
        mine = [entry for entry in self.charges if entry.body["digest"] == self.current]
        return charged_event(mine[-1]) if mine else None

    @property
    def rounds_to_run(self) -> int | None:
        """Rounds that the newest run of the current study still has; None where the study is not known."""
        rounds = self.study(self.current).get("training", {}).get("rounds")
        mine = [e.body for e in self.charges if e.body["digest"] == self.current]
        done = max((int(b["round"]) for b in mine if b["run"] == mine[-1]["run"]), default=0)
        return None if rounds is None else max(0, int(rounds) - done)

    def runs(self, digests: Iterable[str]) -> int:
        """How many runs of these studies spent or sent anything."""
        wanted = set(digests)
        return len({(e.body["digest"], e.body["run"]) for e in self.all("charge", "aux") if e.body["digest"] in wanted})

    @cached_property
    def _kinds(self) -> Mapping[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.kind, []).append(entry)
        return found

    @cached_property
    def _names(self) -> Counter[str]:
        return Counter(str(entry.body["name"]) for entry in self.approvals)

    def _mode(self, digest: str) -> str:
        found = self.approval(digest)
        return str(found.body["mode"]) if found else "off"
