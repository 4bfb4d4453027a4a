"""Areas under curves from counts of positives and negatives, ordered by score.

Both the patient-level metrics (one column a distinct score) and the histograms (one column a bin) end here. Patients
with equal scores form one column, which counts half in AUC and as one threshold in PR-AUC.
"""

import numpy as np

from shared.metrics.scored import Floats

__all__ = ["area_under_pr", "area_under_roc", "columns_by_score", "divide"]


def divide(a: Floats, b: Floats) -> Floats:
    """The quotient a / b, NaN where b is 0; shapes broadcast."""
    a, b = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    quotient = np.full(a.shape, np.nan)
    np.divide(a, b, out=quotient, where=b != 0)
    return quotient


def columns_by_score(score: Floats, weights: Floats) -> Floats:
    """Sum the columns of `weights` (D, n) that have equal `score` (n,): (D, distinct scores), ascending."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sums: Floats = np.add.reduceat(weights[:, order], starts, axis=1)
    return sums


def area_under_roc(positives: Floats, negatives: Floats) -> Floats:
    """AUC (D,) from counts (D, G) in ascending score; NaN without a positive or without a negative."""
    below = np.cumsum(negatives, axis=1) - negatives / 2
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    return divide((positives * below).sum(axis=1), pairs)


def area_under_pr(positives: Floats, negatives: Floats) -> Floats:
    """Average precision (D,) from counts (D, G) in ascending score: the sum of precision times gained recall.

    NaN without a positive or without a negative.
    """
    gained = positives[:, ::-1]
    hits = np.cumsum(gained, axis=1)
    called = hits + np.cumsum(negatives[:, ::-1], axis=1)
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    total = positives.sum(axis=1)
    both = np.where(negatives.sum(axis=1) > 0, total, 0.0)
    return divide((gained * precision).sum(axis=1), both)
