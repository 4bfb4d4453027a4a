"""How good a model is: metrics over patients with bootstrap intervals, and over mergeable statistics."""

from shared.metrics.measurement import (
    LOWER_IS_BETTER,
    MAIN,
    computed_at,
    measure,
    measure_site_mean,
    metric_names,
    reasons,
    site_mean_reasons,
)
from shared.metrics.scored import Kind, Scored
from shared.metrics.statistics import Statistics
from shared.metrics.values import Value, bootstrap_weights, interval, paired_difference, plain_mean, summarise

__all__ = [
    "LOWER_IS_BETTER",
    "MAIN",
    "Kind",
    "Scored",
    "Statistics",
    "Value",
    "bootstrap_weights",
    "computed_at",
    "interval",
    "measure",
    "measure_site_mean",
    "metric_names",
    "paired_difference",
    "plain_mean",
    "reasons",
    "site_mean_reasons",
    "summarise",
]
