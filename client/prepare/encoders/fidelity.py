"""How close bf16 features come to fp32 features of the same tiles."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_COSINE", "MOST_RELATIVE_L2", "compare_features", "is_faithful"]

LEAST_COSINE = 0.9995  # on every tile
MOST_RELATIVE_L2 = 0.01  # median over the tiles


def compare_features(bf16: NDArray[np.float32], fp32: NDArray[np.float32]) -> dict[str, float]:
    """Of features (N, dim) each, N >= 1: the least cosine and the median of |bf16 - fp32| / |fp32|."""
    ours, exact = bf16.astype(np.float64), fp32.astype(np.float64)
    norms = np.linalg.norm(ours, axis=1), np.linalg.norm(exact, axis=1)
    tiny = np.finfo(np.float64).tiny  # a feature of zeros
    cosine = (ours * exact).sum(1) / np.maximum(norms[0] * norms[1], tiny)
    same = (ours == exact).all(1)
    distance = np.linalg.norm(ours - exact, axis=1) / np.maximum(norms[1], tiny)
    return {
        "bf16_min_cosine": float(np.where(same, 1.0, cosine).min()),
        "bf16_median_relative_l2": float(np.median(distance)),
    }


def is_faithful(fidelity: dict[str, float]) -> bool:
    """Whether bf16 may stand for fp32; features that are not numbers may not."""
    return bool(fidelity["bf16_min_cosine"] >= LEAST_COSINE and fidelity["bf16_median_relative_l2"] <= MOST_RELATIVE_L2)
