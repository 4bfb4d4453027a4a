"""Which of many are kept when only some fit: evenly spread, always the same ones."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["spread"]


def spread(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of `count` positions, evenly spread, always the same."""
    chosen = min(count, most)
    return ((np.arange(chosen) + 0.5) * count / max(chosen, 1)).astype(np.int64)
