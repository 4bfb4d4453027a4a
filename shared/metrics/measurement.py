"""All metrics of a task at once, for one set of weights or for a thousand bootstrap draws."""

import numpy as np

from shared.metrics.classification import classification_metrics
from shared.metrics.detection import DETECTION
from shared.metrics.ranking import divide
from shared.metrics.scored import Floats, Kind, Scored
from shared.metrics.survival import MIN_EVENTS, c_index_within_sites, pairs_by_site, survival_metrics

__all__ = [
    "LOWER_IS_BETTER",
    "MAIN",
    "computed_at",
    "measure",
    "measure_site_mean",
    "metric_names",
    "reasons",
    "site_mean_reasons",
]

CLASSIFICATION = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "recall_macro",
    "precision_macro",
    "auc",
    "micro_auc",
    "pr_auc",
    "mcc",
    "brier",
    "ece",
)
SURVIVAL = ("c_index", "c_index_within_site", "ipcw_c_index", "ibs")
MAIN: dict[Kind, tuple[str, ...]] = {
    "classification": ("auc", "accuracy"),
    "survival": ("c_index", "c_index_within_site"),
    "detection": ("map50", "map50_95"),
}
"""The metrics that a summary shows first."""
LOWER_IS_BETTER = frozenset({"brier", "ece", "ibs"})

WEIGHTS_AT_ONCE = 2_000_000


def metric_names(kind: Kind, outputs: int, ordered: bool = False) -> tuple[str, ...]:
    """The metrics of a task with `outputs` classes or time bins, in the order of the reports; `ordered` = grades."""
    if kind != "classification":
        return SURVIVAL if kind == "survival" else DETECTION
    return (*CLASSIFICATION, *(("quadratic_kappa",) if ordered else ()), *(("f1",) if outputs == 2 else ()))


def measure(scored: Scored, weights: Floats | None = None) -> dict[str, Floats]:
    """Every metric (D,) of the task, one value a row of `weights` (D, n); NaN where it cannot be computed.

    A weight says how often a patient counts (`bootstrap_weights`); without weights every patient counts once and D = 1.
    """
    rows = np.ones((1, len(scored))) if weights is None else np.asarray(weights, dtype=np.float64)
    names = metric_names(scored.kind, scored.scores.shape[1], scored.ordered)
    if len(scored) == 0:
        return {name: np.full(len(rows), np.nan) for name in names}
    metrics = survival_metrics if scored.kind == "survival" else classification_metrics
    step = max(1, WEIGHTS_AT_ONCE // len(scored))
    parts = [metrics(scored, rows[start : start + step]) for start in range(0, len(rows), step)]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def reasons(scored: Scored) -> dict[str, str]:
    """Why each metric that is null for these patients is null."""
    return {name: _why(scored, name) for name, value in measure(scored).items() if np.isnan(value[0])}


def measure_site_mean(scored: Scored, weights: Floats | None = None) -> dict[str, Floats]:
    """The patient-weighted mean over sites of every metric (D,): `own_site_mean` of any arm.

    A site counts for a metric where it can be computed there (`computed_at`). `c_index_within_site` is no mean: the
    comparable pairs of every hospital count, so that one with few deaths is not lost. For the local arm, `scored` holds
    each site's patients with the scores of that site's own model.
    """
    rows = np.ones((1, len(scored))) if weights is None else np.asarray(weights, dtype=np.float64)
    names = metric_names(scored.kind, scored.scores.shape[1], scored.ordered)
    sums = {name: np.zeros(len(rows)) for name in names}
    shares = {name: np.zeros(len(rows)) for name in names}
    for site in np.unique(scored.site):
        index = np.flatnonzero(scored.site == site)
        own = rows[:, index]
        patients = own.sum(axis=1)
        for name, value in measure(scored.take(index), own).items():
            finite = np.isfinite(value)
            sums[name] += np.where(finite, value, 0.0) * patients
            shares[name] += np.where(finite, patients, 0.0)
    means = {name: divide(sums[name], shares[name]) for name in names}
    return means | ({"c_index_within_site": c_index_within_sites(scored, rows)} if scored.kind == "survival" else {})


def computed_at(scored: Scored) -> dict[str, list[str]]:
    """Metric -> the sites whose patients `measure_site_mean` counts; a metric that no site can compute is left out."""
    found: dict[str, list[str]] = {}
    for site in np.unique(scored.site).tolist():
        for name, value in measure(scored.take(scored.site == site)).items():
            if np.isfinite(value[0]):
                found.setdefault(name, []).append(site)
    if scored.kind == "survival" and scored.events >= MIN_EVENTS:
        pairs = pairs_by_site(scored, np.ones((1, len(scored))))
        found["c_index_within_site"] = [site for site, (_, comparable) in pairs.items() if comparable[0]]
    return found


def site_mean_reasons(scored: Scored) -> dict[str, str]:
    """Why each metric that no site can compute is null."""
    found = [reasons(scored.take(scored.site == site)) for site in np.unique(scored.site)]
    nulls = {name for name, value in measure_site_mean(scored).items() if np.isnan(value[0])}
    return {
        name: "at every site: " + ", ".join(sorted({each[name] for each in found if name in each}))
        if found
        else "no patients"
        for name in metric_names(scored.kind, scored.scores.shape[1], scored.ordered)
        if name in nulls
    }


def _why(scored: Scored, name: str) -> str:
    if len(scored) == 0:
        return "no patients"
    if scored.kind == "classification":
        return "no patient has or is given class 1" if name == "f1" else "one class"
    if name == "ibs":
        return "nobody followed beyond the first time edge"
    if scored.events < MIN_EVENTS:
        return f"fewer than {MIN_EVENTS} events"
    return "no comparable pair within a site" if name == "c_index_within_site" else "no comparable pair"
