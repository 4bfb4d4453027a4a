"""What a site may spend, what it has spent, and the one place where a round is charged or refused."""

import math
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import Refused
from shared.privacy.accounting import ACCOUNTANT, epsilon
from shared.privacy.events import Event, merged
from shared.privacy.head import Head
from shared.privacy.ledger import Entry, Ledger
from shared.privacy.spending import Policy, Spending, spending
from shared.privacy.terms import Terms

__all__ = ["Budget", "Policy", "Spending"]

UNIT, NEIGHBOURS, SAMPLER = "patient", "add/remove one patient", "poisson"
MOST_ROUNDS = 1000


class Budget:
    """The spending recorded in one ledger, held against one policy.

    Everything ever charged counts, whatever became of it, and nothing is ever refunded. All methods raise Refused as
    the ledger does.
    """

    def __init__(self, ledger: Ledger, policy: Policy) -> None:
        """Signs a `policy` entry when cap, delta or accountant are others than before. What is spent stays spent."""
        self.ledger, self.policy = ledger, policy
        body = {
            "site": ledger.site,
            "unit": UNIT,
            "neighbours": NEIGHBOURS,
            "delta": policy.delta,
            "epsilon_cap": policy.epsilon_cap,
            "accountant": ACCOUNTANT,
            "key": ledger.public_key.hex(),
        }
        if not _holds(ledger.last("policy"), body):
            with ledger.writing() as writer:
                if not _holds(writer.last("policy"), body):
                    writer.append("policy", **body, approver=policy.approver)

    def spent(self) -> Spending:
        """What all charges cost together."""
        return spending(self._events(), self.policy)

    def projected(self, event: Event) -> Spending:
        """The same, as if `event` had been charged too."""
        return spending(merged((*self._events(), event)), self.policy)

    def rounds_left(self, round_: Event, most: int = MOST_ROUNDS) -> int:
        """How many more rounds that release `round_` fit under the cap; `most` when so many do."""
        events = self._events()

        def fits(rounds: int) -> bool:
            more = Event(round_.sample_rate, round_.sigma, round_.steps * rounds)
            return epsilon((*events, more), self.policy.delta) <= self.policy.epsilon_cap

        if fits(most):
            return most
        low, high = 0, most  # `low` rounds fit (none always do), `high` do not
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low

    def charge(self, terms: Terms, *, digest: str, run: str, round_: int, task: str, fold: str, cohort: int) -> Entry:
        """Charge a whole round before it begins: one durable `charge` entry, or one `refused` entry and Refused.

        Spending is read, projected and written in one transaction, so two processes cannot pass the cap together.

        Parameters
        ----------
        cohort
            Number of the `cohort` entry, 0 = none.

        Raises
        ------
        Refused
            BUDGET_EXCEEDED: with this round the site would have spent more than its cap. No patient was read.
        """
        self.projected(terms.round)  # composed now, so that nobody waits for it below
        with self.ledger.writing() as writer:
            before = writer.spent()
            after = spending(merged((*before, terms.round)), self.policy)
            fields: dict[str, Any] = {
                "digest": digest,
                "run": run,
                "round": round_,
                "attempt": 1 + len(writer.tally.charges(digest, run, round_)),
                "task": task,
                "fold": fold,
                "cohort": cohort,
                "mode": terms.mode,
                "sample_rate": terms.sample_rate,
                "sigma": terms.sigma,
                "clip": terms.clip,
                "steps": terms.steps_per_round,
                "sampler": SAMPLER,
                "noise_source": terms.noise_source,
                "backend": terms.backend,
                "epsilon": _finite(after.epsilon),
                "epsilon_replace_one": _finite(after.epsilon_replace_one),
                "delta": self.policy.delta,
            }
            if after.within:
                return writer.append("charge", **fields)
            writer.append("refused", **fields, code="BUDGET_EXCEEDED")
        spent = epsilon(before, self.policy.delta)
        raise Refused(
            "BUDGET_EXCEEDED",
            f"expected at most epsilon {after.cap:g} at delta {after.delta:g} over everything site {self.ledger.site} "
            f"has ever taken part in, got {after.epsilon:.3f} with round {round_} ({spent:.3f} spent before it); ask "
            "for a study with more noise or fewer rounds: only the site can raise epsilon_cap in its site file",
        )

    def refuse(self, code: str, **fields: Any) -> None:
        """Record a refusal that was made before anything was charged."""
        self.ledger.append("refused", code=code, **fields)

    def abort(self, charge: int, code: str) -> Entry:
        """Record that a charged round came to nothing. Its charge stands."""
        return self.ledger.append("aborted", charge=charge, code=code)

    def charged(self, digest: str, run: str, round_: int) -> Entry | None:
        """The newest charge of that round."""
        found = self.ledger.ask(lambda tally: tally.charges(digest, run, round_))
        return self.ledger.at(found[-1]) if found else None

    def charges(self, digest: str, run: str) -> int:
        """How often a run has been charged, every attempt at every round."""
        return self.ledger.ask(lambda tally: tally.charges_of_run(digest, run))

    def latest_round(self, digest: str, run: str) -> int:
        """The highest round of a run that was ever charged, 0 before the first."""
        return self.ledger.ask(lambda tally: tally.latest_round(digest, run))

    def release(self, charge: int, sha256: str, size: int, tensors: Mapping[str, Sequence[int]]) -> Entry:
        """Record what is about to leave the site for a charge: SHA-256 and size of the exact bytes, name -> shape."""
        shapes = {name: list(shape) for name, shape in tensors.items()}
        return self.ledger.append("released", charge=charge, sha256=sha256, bytes=size, tensors=shapes)

    def released(self, charge: int) -> Entry | None:
        """The newest release of a charge."""
        seq = self.ledger.ask(lambda tally: tally.releases.get(charge))
        return self.ledger.at(seq) if seq else None

    def acknowledge(self, head: Head) -> None:
        """Record that the coordinator has `head`, and so every release before it."""

        def waiting(unacknowledged: Mapping[int, int]) -> list[int]:
            return [charge for charge, release in unacknowledged.items() if release <= head.seq]

        if self.ledger.ask(lambda tally: waiting(tally.unacknowledged)):
            with self.ledger.writing() as writer:
                for charge in waiting(writer.tally.unacknowledged):
                    writer.append("acked", charge=charge, head_seq=head.seq, head_hash=head.hash)

    def export(self, *, digest: str, run: str, round_: int, seen: Mapping[str, Sequence[int | str]]) -> Head:
        """Sign the end of the ledger for a reply: a `head` entry, which covers everything before it.

        Parameters
        ----------
        seen
            Heads of other sites as the coordinator told them: key fingerprint (16 hex digits) -> seq, hash.
        """
        with self.ledger.writing() as writer:
            last = writer.last("head")
            parent = last.hash if last else ""
            others = {key: list(head) for key, head in seen.items()}
            nonce = secrets.token_hex(8)  # or two copies that do the same in the same second would sign the same head
            entry = writer.append("head", digest=digest, run=run, round=round_, parent=parent, seen=others, nonce=nonce)
        assert entry.sig is not None
        return Head(self.ledger.site, entry.seq, entry.hash, parent, self.ledger.public_key.hex(), entry.sig.hex())

    def knows(self, head: Head) -> bool:
        """Whether the entry that `head` names is in the chain."""
        entry = self.ledger.at(head.seq)
        return entry is not None and entry.hash == head.hash

    def check_echo(self, text: str) -> None:
        """Hold the head that the coordinator sends back against the chain; "" says nothing.

        Raises
        ------
        Refused
            HEAD_INVALID: this site never signed it. LEDGER_ROLLED_BACK: it did, and the ledger does not have it: it
            was cut, put back from a backup, or is another copy.
        """
        if not text:
            return
        try:
            head = Head.parse(text)
        except ValueError as exc:
            raise Refused("HEAD_INVALID", f"expected a head of this site's ledger, got none: {exc}") from exc
        key = self.ledger.public_key.hex()
        if head.site != self.ledger.site or head.key != key or not head.genuine():
            raise Refused(
                "HEAD_INVALID",
                f"expected a head signed by site {self.ledger.site} with key {key[:16]}, got one of {head.site} with "
                f"key {head.key[:16]} that is not genuine here; ask the coordinator where it comes from",
            )
        if not self.knows(head):
            raise Refused(
                "LEDGER_ROLLED_BACK",
                f"expected entry {head.seq} with hash {head.hash[:16]}, which this ledger has signed and sent, got a "
                "ledger without it: an older copy is in use; put the newest one back, and stop all others",
            )
        self.acknowledge(head)

    def _events(self) -> tuple[Event, ...]:
        return self.ledger.ask(lambda tally: tally.events())


def _holds(entry: Entry | None, body: Mapping[str, Any]) -> bool:
    """Whether a policy is in force already. Who set it is no part of that: another user may look at the ledger."""
    return entry is not None and all(entry.body.get(name) == value for name, value in body.items())


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
