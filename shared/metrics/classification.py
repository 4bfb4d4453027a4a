"""Classification metrics over weighted patients: D rows of weights give D values of each metric.

Conventions, as in scikit-learn where it has one: `balanced_accuracy` averages recall over the classes that patients
have; macro precision, recall and F1 over the classes that patients or predictions have, with 0 where undefined; `auc`
and `pr_auc` over the classes that have a positive and a negative patient. With two classes `auc`, `pr_auc`, `f1` and
`brier` refer to class index 1. `brier` is the sum over classes of squared errors (0 to 2; 0 to 1 with two classes).
`ece` has 15 equal bins of the top probability (Guo et al. 2017, eq. 3). `quadratic_kappa` is Cohen's weighted kappa
(1968) with squared distances between classes as weights of disagreement: 1 = right, 0 = chance; for grades only.
Higher is better but for `brier` and `ece`.
"""

import numpy as np

from shared.metrics.ranking import area_under_pr, area_under_roc, columns_by_score, divide
from shared.metrics.scored import Floats, Integers, Scored

__all__ = [
    "CALIBRATION_BINS",
    "brier_terms",
    "calibration_bins",
    "classification_metrics",
    "from_calibration",
    "from_confusion",
    "from_curves",
]

CALIBRATION_BINS = 15
ROUNDING = 1e-12


def classification_metrics(scored: Scored, weights: Floats) -> dict[str, Floats]:
    """Every classification metric of `scored` (n patients, C classes) for each row of `weights` (D, n)."""
    classes = scored.scores.shape[1]
    cell = scored.y * classes + scored.scores.argmax(axis=1)
    confusion = weights @ np.eye(classes * classes)[cell]
    curves = []
    truth = np.eye(classes)[scored.y]
    for k in range(classes):
        positives = columns_by_score(scored.scores[:, k], weights * truth[:, k])
        curves.append((positives, columns_by_score(scored.scores[:, k], weights * (1 - truth[:, k]))))
    repeated = np.repeat(weights, classes, axis=1)
    flat, hits = scored.scores.ravel(), truth.ravel()
    micro = (columns_by_score(flat, repeated * hits), columns_by_score(flat, repeated * (1 - hits)))
    top = scored.scores.max(axis=1)
    right = (scored.scores.argmax(axis=1) == scored.y).astype(np.float64)
    in_bin = np.eye(CALIBRATION_BINS)[calibration_bins(scored)]
    gap = weights @ (in_bin * (top - right)[:, None])
    total = weights.sum(axis=1)
    return (
        from_confusion(confusion.reshape(-1, classes, classes))
        | from_curves(curves, micro)
        | {"brier": divide(weights @ brier_terms(scored), total), "ece": from_calibration(gap, total)}
    )


def from_confusion(confusion: Floats) -> dict[str, Floats]:
    """The metrics of confusion counts (D, C, C), rows the truth, columns the prediction."""
    total = confusion.sum(axis=(1, 2))
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    true, called = confusion.sum(axis=2), confusion.sum(axis=1)
    recall, precision = divide(hits, true), divide(hits, called)
    f1 = divide(2 * hits, true + called)
    occurs = (true + called) > 0
    found = divide(np.nansum(recall, axis=1), (true > 0).sum(axis=1))
    metrics = {
        "accuracy": divide(hits.sum(axis=1), total),
        "balanced_accuracy": found,
        "macro_f1": _macro(f1, occurs),
        "recall_macro": _macro(recall, occurs),
        "precision_macro": _macro(precision, occurs),
        "mcc": _mcc(hits.sum(axis=1), true, called, total),
        "quadratic_kappa": _quadratic_kappa(confusion, true, called, total),
    }
    return metrics | ({"f1": f1[:, 1]} if confusion.shape[1] == 2 else {})


def from_curves(curves: list[tuple[Floats, Floats]], micro: tuple[Floats, Floats]) -> dict[str, Floats]:
    """`auc`, `pr_auc` and `micro_auc` of one-vs-rest counts in ascending score, one (D, G) pair a class."""
    chosen = curves[1:] if len(curves) == 2 else curves
    several = sum((positives.sum(axis=1) > 0).astype(int) for positives, _ in curves) > 1
    areas = {
        "auc": _mean_of_finite(np.array([area_under_roc(*curve) for curve in chosen])),
        "micro_auc": area_under_roc(*micro),
        "pr_auc": _mean_of_finite(np.array([area_under_pr(*curve) for curve in chosen])),
    }
    return {name: np.where(several, area, np.nan) for name, area in areas.items()}


def brier_terms(scored: Scored) -> Floats:
    """(n,) each patient's share of the Brier score."""
    truth = np.eye(scored.scores.shape[1])[scored.y]
    squared: Floats = ((scored.scores - truth) ** 2).sum(axis=1)
    return squared / 2 if scored.scores.shape[1] == 2 else squared


def calibration_bins(scored: Scored) -> Integers:
    """(n,) the bin of each patient's top probability."""
    bins: Integers = (scored.scores.max(axis=1) * CALIBRATION_BINS).astype(np.int64)
    return np.minimum(bins, CALIBRATION_BINS - 1)


def from_calibration(gap: Floats, total: Floats) -> Floats:
    """ECE (D,) from the sums of (top probability - right or wrong) in each bin (D, bins) and the patients (D,)."""
    return divide(np.abs(gap).sum(axis=1), total)


def _macro(values: Floats, occurs: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Floats:
    return divide(np.where(occurs, np.nan_to_num(values), 0.0).sum(axis=1), occurs.sum(axis=1))


def _mean_of_finite(values: Floats) -> Floats:
    """Mean over axis 0 of the finite entries of (C, D); NaN where there is none."""
    return divide(np.nansum(values, axis=0), np.isfinite(values).sum(axis=0))


def _quadratic_kappa(confusion: Floats, true: Floats, called: Floats, total: Floats) -> Floats:
    """1 - observed / chance disagreement; NaN when every patient has and is given one and the same class."""
    place = np.arange(confusion.shape[1])
    weight = (place[:, None] - place[None, :]) ** 2.0
    seen = (confusion * weight).sum(axis=(1, 2)) * total
    return 1 - divide(seen, ((true @ weight) * called).sum(axis=1))


def _mcc(hits: Floats, true: Floats, called: Floats, total: Floats) -> Floats:
    """Gorodkin's K-category correlation; 0 when every prediction is one class, NaN when every patient is."""
    covariance = hits * total - (true * called).sum(axis=1)
    spread_true, spread_called = (
        np.where(spread > ROUNDING * total**2, spread, 0.0)  # weights need not be whole numbers
        for spread in (total**2 - (true**2).sum(axis=1), total**2 - (called**2).sum(axis=1))
    )
    value = divide(covariance, np.sqrt(spread_true * spread_called))
    return np.where((spread_called == 0) & (spread_true > 0), 0.0, value)
