"""The least noise that keeps a whole training within an epsilon."""

import math

from shared.privacy.accounting import epsilon
from shared.privacy.events import Event

__all__ = ["calibrated_sigma"]

DIGITS = 4
MOST = 2.0**14


def calibrated_sigma(target: float, delta: float, sample_rate: float, steps: int) -> float:
    """The smallest noise multiplier, rounded up to four digits, at which `steps` steps cost at most `target`.

    Parameters
    ----------
    steps
        Of the whole training: rounds x steps a round.

    Raises
    ------
    ValueError
        No noise up to MOST would do.
    """

    def fits(sigma: float) -> bool:
        return epsilon([Event(sample_rate, sigma, steps)], delta) <= target

    high = 1.0
    while not fits(high):
        high *= 2
        if high > MOST:
            raise ValueError(
                f"expected an epsilon that some noise can keep, got {target:g} at delta {delta:g} over {steps} steps; "
                "raise epsilon, or train for fewer steps"
            )
    low = high / 2
    while high >= 1.0 and low > 2**-6 and fits(low):
        high, low = low, low / 2
    unit = 10.0**-DIGITS
    while high - low > unit / 2:
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    sigma = math.ceil(high / unit) * unit
    return round(sigma, DIGITS)
