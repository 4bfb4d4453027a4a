"""The privacy terms of a study, complete: public constants that nobody computes from patients."""

from dataclasses import dataclass

from shared.privacy.events import Event

__all__ = ["Terms"]


@dataclass(frozen=True)
class Terms:
    """What every site does in every round, and what the whole run is meant to cost.

    Neighbours differ in one patient, with all slides, samples and images of that person.
    """

    mode: str  # "local": every step's noise is drawn at the site
    epsilon: float  # most that the whole run costs one site, add/remove one patient
    delta: float
    clip: float  # C: the gradient of one patient is scaled down to this norm
    sigma: float  # noise multiplier: the noise of a step has standard deviation sigma * C
    sample_rate: float  # q: probability of each patient to be in a step
    steps_per_round: int
    expected_batch: float  # the denominator of every step, whatever was drawn
    rounds: int
    backend: str  # auto | vmap | loop | hooks
    noise_source: str  # chacha20 | os-seeded | test-seeded

    @property
    def round(self) -> Event:
        """What one round releases."""
        return Event(self.sample_rate, self.sigma, self.steps_per_round)

    @property
    def study(self) -> Event:
        """What the whole run releases."""
        return Event(self.sample_rate, self.sigma, self.steps_per_round * self.rounds)

    @property
    def formal(self) -> bool:
        """Whether the noise is secret: noise from a known seed can be subtracted."""
        return self.noise_source != "test-seeded"
