"""What a private training releases, in the terms that its cost depends on."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Event", "merged"]


@dataclass(frozen=True, order=True)
class Event:
    """`steps` noisy sums: each patient is in a step's sum with probability `sample_rate`, clipped to norm C.

    Each sum is released with Gaussian noise of standard deviation `sigma` x C. C itself is no part of the cost.
    """

    sample_rate: float  # q, in (0, 1]
    sigma: float  # noise multiplier, > 0
    steps: int  # >= 1

    def __post_init__(self) -> None:
        if not (0 < self.sample_rate <= 1 and 0 < self.sigma < float("inf") and self.steps >= 1):
            raise ValueError(f"expected 0 < sample_rate <= 1, a finite sigma > 0 and steps >= 1, got {self}")


def merged(events: Iterable[Event]) -> tuple[Event, ...]:
    """The same events with the steps of equal (sample_rate, sigma) added up, in a fixed order: they cost the same."""
    steps: Counter[tuple[float, float]] = Counter()
    for event in events:
        steps[event.sample_rate, event.sigma] += event.steps
    return tuple(Event(rate, sigma, count) for (rate, sigma), count in sorted(steps.items()))
