from collections.abc import Callable

import numpy as np
import pytest

from shared.metrics import Scored

EDGES = (12.0, 24.0, 60.0)


@pytest.fixture
def classes() -> Callable[..., Scored]:
    """n patients of C classes at three hospitals; `decimals` rounds the scores, so that some are equal."""

    def make(n: int, c: int, seed: int = 0, decimals: int = 8) -> Scored:
        rng = np.random.default_rng(seed)
        y = rng.integers(c, size=n)
        scores = np.exp(rng.normal(size=(n, c)) + 1.2 * np.eye(c)[y]).round(decimals) + 1e-6
        scores /= scores.sum(axis=1, keepdims=True)
        site = np.array(["06", "HT", "S9"])[rng.integers(3, size=n)]
        return Scored("classification", scores, y, np.zeros(n), np.zeros(n, dtype=np.int64), site)

    return make


@pytest.fixture
def survivors() -> Callable[..., Scored]:
    """n patients with censoring at three hospitals; `whole` months make ties in time."""

    def make(n: int, seed: int = 0, whole: bool = True) -> Scored:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=n)
        death, end = rng.exponential(40 * np.exp(-0.8 * x)), rng.uniform(5, 150, size=n)
        event = (death <= end).astype(np.int64)
        time = np.minimum(death, end)
        time = np.ceil(time) if whole else time
        hazard = 1 / (1 + np.exp(-(x + rng.normal(size=n)).round(1)[:, None] - np.array([-2, -1.5, -1, -0.5])))
        site = np.array(["06", "HT", "S9"])[rng.integers(3, size=n)]
        y = np.searchsorted(EDGES, time, side="right")
        return Scored("survival", np.cumprod(1 - hazard, axis=1), y, time, event, site, EDGES)

    return make
