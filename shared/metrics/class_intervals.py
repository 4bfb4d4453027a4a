"""Intervals of classification metrics from merged counts alone: patients are drawn anew from the tables.

Confusion counts hold each patient once, so that drawing from them is the bootstrap over patients itself. A score
histogram is that of one class against the others; draws of different classes know nothing of one another, so a mean
over classes takes them as moving together, which can only make its interval wider: as wide as the bootstrap's with 2
classes, 1.3 times with 3 and 1.9 times with 5 (AUC, drawn problems of 240 patients).
"""

from collections.abc import Mapping

import numpy as np

from shared.metrics.class_counts import HISTOGRAM_BINS
from shared.metrics.classification import from_confusion
from shared.metrics.ranking import area_under_pr, area_under_roc
from shared.metrics.scored import Floats
from shared.metrics.values import interval

__all__ = ["class_intervals"]

DRAWS = 1000


def class_intervals(entries: Mapping[str, Floats]) -> dict[str, tuple[float | None, float | None]]:
    """95 % intervals of the metrics that counts give one for: those of the confusion, `auc` and `pr_auc`."""
    rng = np.random.default_rng(0)
    classes = round(len(entries["confusion"]) ** 0.5)
    confusion = _drawn(rng, entries["confusion"]).reshape(DRAWS, classes, classes)
    found = {name: interval(draws) for name, draws in from_confusion(confusion).items()}
    positives = entries["positives"].reshape(classes, HISTOGRAM_BINS)
    negatives = entries["negatives"].reshape(classes, HISTOGRAM_BINS)
    chosen = [k for k in range(1 if classes == 2 else 0, classes) if positives[k].sum() and negatives[k].sum()]
    drawn = [_drawn(rng, np.concatenate([positives[k], negatives[k]])) for k in chosen]
    for name, area in (("auc", area_under_roc), ("pr_auc", area_under_pr)):
        draws = [np.sort(area(each[:, :HISTOGRAM_BINS], each[:, HISTOGRAM_BINS:])) for each in drawn]
        found[name] = interval(np.mean(draws, axis=0)) if draws else (None, None)
    return found


def _drawn(rng: np.random.Generator, counts: Floats) -> Floats:
    """As many patients as were counted, drawn from the cells (G,) with replacement: (DRAWS, G)."""
    total = counts.sum()
    shares = counts / total if total else np.full(len(counts), 1 / len(counts))
    return rng.multinomial(int(total), shares, size=DRAWS).astype(np.float64)
