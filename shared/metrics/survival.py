"""Survival metrics over weighted patients: D rows of weights give D values of each metric.

A pair is comparable when one patient died while the other was still followed (a death comes before a censoring at the
same month). It is concordant when the one who died first has the higher risk; equal risks count half. Risk is minus the
sum of the survival curve, higher = worse. Censoring weights use the Kaplan-Meier curve of censoring of the very
patients that are scored, just before each month (Uno et al. 2011; Graf et al. 1999).
"""

import numpy as np
import numpy.typing as npt

from shared.metrics.ranking import divide
from shared.metrics.scored import Floats, Scored

__all__ = [
    "MIN_EVENTS",
    "c_index_within_sites",
    "censoring_curve",
    "pair_sums",
    "pairs_by_site",
    "pairs_within_sites",
    "survival_metrics",
]

MIN_EVENTS = 5
PAIRS_AT_ONCE = 2_000_000


def survival_metrics(scored: Scored, weights: Floats) -> dict[str, Floats]:
    """Every survival metric of `scored` for each row of `weights` (D, n).

    c-indices are NaN with fewer than 5 deaths among the patients, and in a row without a comparable pair.
    `ipcw_c_index` counts deaths before the last inner edge; `ibs` integrates the Brier score from 0 to the last edge
    that somebody outlived (lower is better).
    """
    tail = censoring_curve(scored, weights)
    before = tail[:, np.searchsorted(np.unique(scored.time), scored.time)]  # (D, n) uncensored just before one's month
    none = np.full(len(weights), np.nan)
    indices = {"c_index": none, "c_index_within_site": none, "ipcw_c_index": none}
    if scored.events >= MIN_EVENTS:
        early = scored.time < scored.edges[-1]
        inverse = weights * early * divide(np.ones(1), before**2)
        inverse = np.where(weights > 0, inverse, 0.0)
        indices = {
            "c_index": divide(*pair_sums(scored, weights, weights)),
            "c_index_within_site": c_index_within_sites(scored, weights),
            "ipcw_c_index": divide(*pair_sums(scored, inverse, weights)),
        }
    return indices | {"ibs": _integrated_brier(scored, weights, tail, before)}


def c_index_within_sites(scored: Scored, weights: Floats) -> Floats:
    """(D,) the share of concordant pairs among the comparable pairs of one hospital, over all hospitals together.

    A hospital with one death takes part; NaN with fewer than 5 deaths in all.
    """
    if scored.events < MIN_EVENTS:
        return np.full(len(weights), np.nan)
    return divide(*pairs_within_sites(scored, weights))


def pairs_within_sites(scored: Scored, weights: Floats) -> tuple[Floats, Floats]:
    """Concordant and comparable pairs (D,), (D,) of patients of one site, over all sites."""
    pairs = pairs_by_site(scored, weights).values()
    zeros = np.zeros(len(weights))
    return sum((right for right, _ in pairs), zeros), sum((every for _, every in pairs), zeros)


def pairs_by_site(scored: Scored, weights: Floats) -> dict[str, tuple[Floats, Floats]]:
    """Site -> concordant and comparable pairs (D,), (D,) of its patients alone, in the order of the sites' ids."""
    found = {}
    for site in np.unique(scored.site).tolist():
        rows = np.flatnonzero(scored.site == site)
        found[site] = pair_sums(scored.take(rows), weights[:, rows], weights[:, rows])
    return found


def pair_sums(scored: Scored, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Sums over comparable pairs, each weighing `first` (of the one who died first) times `second`, both (D, n).

    Returns
    -------
    concordant, comparable : (D,), (D,)
    """
    died = np.flatnonzero(scored.event)
    risk, time, alive = scored.risk, scored.time, scored.event == 0
    concordant, comparable = np.zeros(len(first)), np.zeros(len(first))
    step = max(1, PAIRS_AT_ONCE // max(1, len(scored)))
    for start in range(0, len(died), step):
        rows = died[start : start + step]
        pair = (time[rows, None] < time) | ((time[rows, None] == time) & alive)
        credit = pair * ((risk[rows, None] > risk) + 0.5 * (risk[rows, None] == risk))
        concordant += ((first[:, rows] @ credit) * second).sum(axis=1)
        comparable += ((first[:, rows] @ pair.astype(np.float64)) * second).sum(axis=1)
    return concordant, comparable


def censoring_curve(scored: Scored, weights: Floats) -> Floats:
    """(D, T + 1) chance of not being censored before each of the T distinct months; the last column, after all.

    Kaplan-Meier with the two endings swapped; those who died in a month are not at risk of being censored in it.
    """
    months, column = np.unique(scored.time, return_inverse=True)
    place: npt.NDArray[np.float64] = np.eye(len(months))[column]
    censored = weights @ (place * (scored.event == 0)[:, None])
    died = weights @ (place * (scored.event == 1)[:, None])
    followed = np.cumsum((censored + died)[:, ::-1], axis=1)[:, ::-1]
    kept = 1 - np.nan_to_num(divide(censored, followed - died))
    return np.concatenate([np.ones((len(weights), 1)), np.cumprod(kept, axis=1)], axis=1)


def _integrated_brier(scored: Scored, weights: Floats, tail: Floats, before: Floats) -> Floats:
    """Trapezoid over 0 and the inner edges (the curve is known only there), divided by the last edge used."""
    edges = [edge for edge in scored.edges if len(scored) and edge < scored.time.max()]
    if not edges:
        return np.full(len(weights), np.nan)
    months = np.unique(scored.time)
    total = weights.sum(axis=1)
    died = np.where(weights > 0, weights * (scored.event == 1) * divide(np.ones(1), before), 0.0)
    errors = [np.zeros(len(weights))]  # at month 0 everybody is alive, and predicted so
    for k, edge in enumerate(edges):
        survival = scored.scores[:, k]
        outlived = weights @ ((scored.time > edge) * (1 - survival) ** 2)
        uncensored = tail[:, np.searchsorted(months, edge, side="right")]
        lost = died @ ((scored.time <= edge) * survival**2)
        followed = weights @ (scored.time > edge).astype(np.float64)
        error = divide(lost + divide(outlived, uncensored), total)
        errors.append(np.where(followed > 0, error, np.nan))
    return np.asarray(np.trapezoid(np.array(errors), x=np.array([0.0, *edges]), axis=0) / edges[-1])
