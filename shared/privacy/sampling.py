"""Who takes part in a step: every patient by an own coin, as the accountant assumes (Poisson sampling)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from shared.privacy.entropy import Keys, Words, secret_keys, unit

__all__ = ["poisson_batches"]


def poisson_batches(patients: int, rate: float, steps: int, keys: Keys = secret_keys) -> Iterator[NDArray[np.int64]]:
    """The rows of the patients in each of `steps` steps, rising; often unequally many, and possibly none.

    Patient i takes part where u_i < `rate`, with one u_i a patient and step, a multiple of 2^-53 in [0, 1). An empty
    step is a step: it must release noise, and a large one must not be cut. Who took part is secret and must not be
    logged, counted or sent; an adversary that knows it can claim no amplification by sampling, and neither can we.

    Parameters
    ----------
    rate
        q in (0, 1], a public constant, never computed from `patients`.
    keys
        The sampler's own, apart from the noise's.

    Raises
    ------
    ValueError
        A rate outside (0, 1].
    """
    if not 0 < rate <= 1:
        raise ValueError(f"expected a rate in (0, 1], got {rate}; take it from the study's privacy.sample_rate")
    return (_drawn(patients, rate, keys) for _ in range(steps))


def _drawn(patients: int, rate: float, keys: Keys) -> NDArray[np.int64]:
    words = np.empty(patients, dtype=np.uint64)
    Words(keys).fill(words)
    return np.flatnonzero(unit(words) < rate)
