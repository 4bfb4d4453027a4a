"""One against the rest, averaged over hospitals: an AUC with an analytic interval, within strata."""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["macro_auc"]

Z = 1.96
LEAST_VARIANCE = 1e-12


def macro_auc(
    scores: NDArray[np.float64], truth: NDArray[np.intp], stratum: NDArray[np.intp]
) -> tuple[float | None, float | None, float | None]:
    """Mean over hospitals of the AUC of one against the rest, and its 95 % interval; nulls without a pair.

    Only patients of the same stratum are compared, and a stratum weighs as many pairs as it has. The variance is that
    of DeLong et al. 1988 (the sum over patients of their squared parts in the mean), the interval is one of log-odds.
    It covers the choice of patients, not of the folds.

    Parameters
    ----------
    scores
        (P, S), higher = more likely of that hospital.
    truth
        (P,) column of the own hospital.
    stratum
        (P,) patients with different numbers are not compared.
    """
    found, parts = [], []
    for column in range(scores.shape[1]):
        won, pairs = np.zeros(len(truth)), np.zeros(len(truth))
        for number in np.unique(stratum[truth == column]):
            here = np.flatnonzero(stratum == number)
            own, others = here[truth[here] == column], here[truth[here] != column]
            if not len(others):
                continue
            a, b = scores[own, column][:, None], scores[others, column][None, :]
            better = (a > b) + 0.5 * (a == b)
            won[own], pairs[own] = better.sum(axis=1), len(others)
            won[others], pairs[others] = better.sum(axis=0), len(own)
        total = float(pairs[truth == column].sum())
        if total:
            auc = float(won[truth == column].sum()) / total
            found.append(auc)
            parts.append((won - auc * pairs) / total)
    if not found:
        return None, None, None
    mean = float(np.mean(found))
    variance = float((np.mean(parts, axis=0) ** 2).sum())
    if variance < LEAST_VARIANCE or not 0 < mean < 1:
        return mean, mean, mean
    odds, half = math.log(mean / (1 - mean)), Z * math.sqrt(variance) / (mean * (1 - mean))
    return mean, 1 / (1 + math.exp(half - odds)), 1 / (1 + math.exp(-half - odds))
