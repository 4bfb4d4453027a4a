"""FedAvg: the patient-weighted mean (McMahan et al. 2017, algorithm 1), one branch beside the other."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shared.messages import branch_of
from shared.weights import Arrays

__all__ = ["RunningMean"]

CHUNK = 1 << 16  # elements multiplied at a time: the product stays in the processor's cache


class RunningMean:
    """The mean of every branch over the sites that hold it, one site in memory at a time.

    Sites must be added in the order of their names. When the weights add up to `totals`, the result is equal bit for
    bit to Flower's formula, sum over sites of x * (w / sum of w) in the arrays' own dtype; that is why the divisor has
    to be known before the first addition. Otherwise (a site fell out of the round) the sum is rescaled at the end.

    Parameters
    ----------
    totals
        Branch -> the weights of all sites that are expected, added up.
    current
        The global arrays; shapes and dtypes are taken from them.
    """

    def __init__(self, totals: Mapping[str, float], current: Arrays) -> None:
        self._totals, self._current = totals, current
        self._weights = dict.fromkeys(totals, 0.0)
        self._sums: Arrays = {}
        self._product = np.empty(CHUNK, dtype=np.float32)

    def add(self, patients: Mapping[str, int], arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Add one site: its weight by branch, and its arrays."""
        for branch in self._totals.keys() & patients.keys():
            self._weights[branch] += patients[branch]
        for name, array in arrays.items():
            branch = branch_of(name)
            if branch not in self._totals:
                continue
            share = np.float32(patients[branch] / self._totals[branch])
            flat = np.ascontiguousarray(array, dtype=np.float32).reshape(-1)
            if name not in self._sums:
                self._sums[name] = np.multiply(flat, share).reshape(self._current[name].shape)
            else:
                self._accumulate(self._sums[name].reshape(-1), flat, share)

    def result(self) -> Arrays:
        """The mean of every branch that some site held."""
        for name, total in self._sums.items():
            branch = branch_of(name)
            if self._weights[branch] != self._totals[branch]:
                total *= np.float32(self._totals[branch] / self._weights[branch])
        return self._sums

    def _accumulate(self, total: NDArray[np.float32], flat: NDArray[np.float32], share: np.float32) -> None:
        for low in range(0, len(flat), CHUNK):
            part, product = flat[low : low + CHUNK], self._product[: len(flat) - low]
            np.multiply(part, share, out=product)
            total[low : low + CHUNK] += product
