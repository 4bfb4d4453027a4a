"""What a site may spend and what it has spent, as two plain records."""

from dataclasses import dataclass

from shared.privacy.accounting import epsilon
from shared.privacy.events import Event

__all__ = ["Policy", "Spending", "spending"]


@dataclass(frozen=True)
class Policy:
    """The site's own limit, over all studies, runs, folds and tasks together."""

    epsilon_cap: float  # add/remove one patient
    delta: float
    approver: str  # who set it


@dataclass(frozen=True)
class Spending:
    """What `events` cost together at `delta`; `inf` where there is no bound."""

    epsilon: float  # add/remove one patient
    epsilon_replace_one: float
    cap: float  # of `epsilon`
    delta: float
    events: tuple[Event, ...]

    @property
    def left(self) -> float:
        """How far the cap is, 0 beyond it. Rounds do not simply add up to it: each costs less than the one before."""
        return max(0.0, self.cap - self.epsilon)

    @property
    def within(self) -> bool:
        """Whether the cap is kept."""
        return self.epsilon <= self.cap


def spending(events: tuple[Event, ...], policy: Policy) -> Spending:
    """What merged `events` cost in both relations, held against a policy."""
    cap, delta = policy.epsilon_cap, policy.delta
    return Spending(epsilon(events, delta), epsilon(events, delta, "replace_one"), cap, delta, events)
