"""Bring gene values of all sites to one scale without moving a patient's values (SEEDS.md section 8)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["PUBLIC_RANGE", "GeneStatistics", "gene_sums", "normal_scores", "public_range"]

Floats = NDArray[np.float64]
PUBLIC_RANGE = {"tpm": (0.0, 20.0), "counts": (0.0, 20.0), "log2": (0.0, 20.0), "z": (-10.0, 10.0)}
"""Scale of the site file -> range to which stored values are clipped before any sum (tpm and counts as log2)."""


def public_range(scale: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Clip stored values (P, U) to the public input range of their scale."""
    low, high = PUBLIC_RANGE[scale]
    return np.clip(values, low, high)


def gene_sums(values: NDArray[np.float32], observed: NDArray[np.bool_], min_patients: int) -> Floats:
    """Per-gene count, sum and sum of squares of clipped values.

    A gene observed in fewer than `min_patients` patients contributes zeros, as if the site lacked it.

    Returns
    -------
    (3, U) float64
    """
    wide = np.where(observed, values, 0).astype(np.float64)  # (P, U)
    sums = np.stack([observed.sum(0).astype(np.float64), wide.sum(0), (wide**2).sum(0)])
    sums[:, sums[0] < min_patients] = 0.0
    return sums


@dataclass(frozen=True)
class GeneStatistics:
    """Per-gene mean and standard deviation over all sites' training patients."""

    table: Floats  # (2, U): mean, standard deviation; 0 and 1 where nobody observed the gene

    @classmethod
    def merge(cls, sums: Sequence[Floats], genes: int) -> "GeneStatistics":
        """Add the sums of all sites, in the given order, and divide."""
        total = np.zeros((3, genes))
        for part in sums:
            total = total + part
        count = np.maximum(total[0], 1.0)
        mean = total[1] / count
        variance = np.maximum(total[2] / count - mean**2, 0.0)
        sd = np.sqrt(variance)
        return cls(np.stack([mean, np.where(sd > 1e-6, sd, 1.0)]))

    def apply(self, values: NDArray[np.float32], observed: NDArray[np.bool_], clip: float) -> NDArray[np.float32]:
        """z-score clipped values (P, U), clip to +-`clip`, and put 0 where not observed."""
        scaled = np.clip((values - self.table[0]) / self.table[1], -clip, clip)
        return np.where(observed, scaled, 0.0).astype(np.float32)


def normal_scores(values: NDArray[np.float32], observed: NDArray[np.bool_], clip: float) -> NDArray[np.float32]:
    """Rank within each patient and map ranks to normal quantiles; needs no other patient.

    Equal values share the mean of their ranks, so that genes at 0 are alike; unobserved genes are 0.
    """
    result = np.zeros(values.shape, dtype=np.float32)
    for row in range(len(values)):
        seen = np.flatnonzero(observed[row])
        _, which, counts = np.unique(values[row, seen], return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - (counts - 1) / 2)[which]
        result[row, seen] = np.clip(ndtri((ranks - 0.5) / max(len(seen), 1)), -clip, clip)
    return result
