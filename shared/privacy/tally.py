"""What a budget asks of a ledger, kept in memory as its entries are read: no query can be misled by a damaged index."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from shared.privacy.chain import Entry
from shared.privacy.events import Event

__all__ = ["Tally", "charged_event"]


def charged_event(entry: Entry) -> Event:
    """What a `charge` entry has spent."""
    body = entry.body
    return Event(float(body["sample_rate"]), float(body["sigma"]), int(body["steps"]))


@dataclass
class Tally:
    """Where the entries of each kind are, and what the charges among them add up to."""

    kinds: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # kind -> seqs, ascending
    steps: Counter[tuple[float, float]] = field(default_factory=Counter)  # (sample rate, sigma) -> steps
    rounds: defaultdict[tuple[str, str], dict[int, list[int]]] = field(
        default_factory=lambda: defaultdict(dict)
    )  # (digest, run) -> round -> charges
    releases: dict[int, int] = field(default_factory=dict)  # charge -> the last `released` entry of it
    unacknowledged: dict[int, int] = field(default_factory=dict)  # the same, where no head has come back yet

    def add(self, entry: Entry) -> None:
        """The next entry of the ledger; KeyError, TypeError or ValueError when a field of it is missing or false."""
        body = entry.body
        self.kinds[entry.kind].append(entry.seq)
        if entry.kind == "charge":
            event = charged_event(entry)
            self.steps[event.sample_rate, event.sigma] += event.steps
            self.rounds[body["digest"], body["run"]].setdefault(body["round"], []).append(entry.seq)
        elif entry.kind == "released":
            self.releases[body["charge"]] = self.unacknowledged[body["charge"]] = entry.seq
        elif entry.kind == "acked":
            self.unacknowledged.pop(body["charge"], None)

    def events(self) -> tuple[Event, ...]:
        """Everything charged, merged: see `shared.privacy.events.merged`."""
        return tuple(Event(rate, sigma, steps) for (rate, sigma), steps in sorted(self.steps.items()))

    def charges(self, digest: str, run: str, round_: int) -> tuple[int, ...]:
        """The charges of one round, oldest first."""
        return tuple(self.rounds.get((digest, run), {}).get(round_, ()))

    def charges_of_run(self, digest: str, run: str) -> int:
        """How often a run has been charged."""
        return sum(len(charges) for charges in self.rounds.get((digest, run), {}).values())

    def latest_round(self, digest: str, run: str) -> int:
        """The highest round of a run that was charged, 0 before the first."""
        return max(self.rounds.get((digest, run), {}), default=0)
