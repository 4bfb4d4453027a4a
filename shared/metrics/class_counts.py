"""Classification as counts: confusion, score histograms a class, calibration bins, Brier sum.

The 256 histogram bins are equal steps of the mean of the probability and its clipped, rescaled logit, so that they stay
fine both in the middle and near 0 and 1, where trained models crowd. Every metric but those under a curve is exact.
"""

from collections.abc import Mapping

import numpy as np

from shared.metrics.classification import (
    CALIBRATION_BINS,
    brier_terms,
    calibration_bins,
    from_calibration,
    from_confusion,
    from_curves,
)
from shared.metrics.scored import Floats, Integers, Scored

__all__ = ["HISTOGRAM_BINS", "class_result", "count_classes", "entries_of", "histogram_bin"]

HISTOGRAM_BINS = 256
LOGIT_LIMIT = 18.0


def entries_of(classes: int) -> dict[str, int]:
    """Entry -> its length for a task of that many classes."""
    return {
        "n": 1,
        "confusion": classes * classes,
        "positives": classes * HISTOGRAM_BINS,
        "negatives": classes * HISTOGRAM_BINS,
        "calibration_hits": CALIBRATION_BINS,
        "calibration_sum": CALIBRATION_BINS,
        "brier_sum": 1,
    }


def histogram_bin(probability: Floats) -> Integers:
    """The public bin, 0 to 255, of each probability; never falls when the probability rises."""
    with np.errstate(divide="ignore"):
        logit = np.log(probability) - np.log1p(-probability)
    scaled = np.clip(logit, -LOGIT_LIMIT, LOGIT_LIMIT) / (2 * LOGIT_LIMIT) + 0.5
    place = (np.clip(probability, 0, 1) + scaled) / 2
    bins: Integers = (place * HISTOGRAM_BINS).astype(np.int64)
    return np.minimum(bins, HISTOGRAM_BINS - 1)


def count_classes(scored: Scored) -> dict[str, Floats]:
    """Arrays that add up over hospitals, flat of the sizes in `entries_of`."""
    classes = scored.scores.shape[1]
    predicted = scored.scores.argmax(axis=1)
    confusion = np.bincount(scored.y * classes + predicted, minlength=classes * classes)
    bins = histogram_bin(scored.scores)
    histograms = np.zeros((2, classes, HISTOGRAM_BINS))
    for k in range(classes):
        for side, mask in enumerate((scored.y == k, scored.y != k)):
            histograms[side, k] = np.bincount(bins[mask, k], minlength=HISTOGRAM_BINS)
    calibration = calibration_bins(scored)
    right = (predicted == scored.y).astype(np.float64)
    return {
        "n": np.array([len(scored)], dtype=np.float64),
        "confusion": confusion.astype(np.float64),
        "positives": histograms[0],
        "negatives": histograms[1],
        "calibration_hits": np.bincount(calibration, right, CALIBRATION_BINS),
        "calibration_sum": np.bincount(calibration, scored.scores.max(axis=1), CALIBRATION_BINS),
        "brier_sum": np.array([brier_terms(scored).sum()]),
    }


def class_result(entries: Mapping[str, Floats]) -> dict[str, float | None]:
    """The metrics of summed arrays; None where one class, or nobody, was counted."""
    classes = round(len(entries["confusion"]) ** 0.5)
    positives = entries["positives"].reshape(classes, 1, HISTOGRAM_BINS)
    negatives = entries["negatives"].reshape(classes, 1, HISTOGRAM_BINS)
    n = entries["n"]
    gap = (entries["calibration_sum"] - entries["calibration_hits"])[None]
    values = (
        from_confusion(entries["confusion"].reshape(1, classes, classes))
        | from_curves(list(zip(positives, negatives, strict=True)), (positives.sum(axis=0), negatives.sum(axis=0)))
        | {"brier": entries["brier_sum"] / np.maximum(n, 1), "ece": from_calibration(gap, n)}
    )
    empty = n[0] == 0
    return {name: None if empty or np.isnan(value[0]) else float(value[0]) for name, value in values.items()}
