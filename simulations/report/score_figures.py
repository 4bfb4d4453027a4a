"""Figures of scores: arms with intervals, differences between arms, one row a modality."""

from typing import Any

from markupsafe import Markup

from simulations.report.row_figures import Mark, Rows, V, many_marks, one_mark, span_of
from simulations.report.words import FLOOR, baseline_name, look, metric_name, minus, number, place_name, spread

__all__ = ["ablation_figure", "differences_figure", "scores_figure", "signal_figure"]


def scores_figure(metrics: dict[str, Any], metric: str, place: str) -> Markup | None:
    """Every arm, then every floor, with its 95 % interval; None when nothing was scored there.

    The axis spans own and unseen patients alike, so that two panels can be compared. A floor that has no mean over
    sites shows its score on all own patients.
    """
    panels = {each: _scored(metrics, metric, each) for each in ("own_site_mean", "unseen")}
    rows = panels[place]
    if not rows:
        return None
    listed = "; ".join(f"{name} {number(m.value['value'])} ({spread(m.value) or 'no interval'})" for name, (m,) in rows)
    alt = f"{metric_name(metric)}, {place_name(place, metric).lower()}: {listed}."
    return one_mark(f"scores-{metric}-{place}", alt, rows, span_of(mark for r in panels.values() for _, (mark,) in r))


def signal_figure(signal: dict[str, V], metrics: dict[str, Any]) -> Markup | None:
    """AUC of a linear model on each modality alone, below the federated model on own patients; None without signal."""
    federated = ((metrics.get("arms", {}).get("federated") or {}).get("own") or {}).get("auc")
    rows: Rows = [("Federated, all together", [Mark(look("federated"), federated)])] if federated else []
    rows += [
        (f"{modality.capitalize()} alone", [Mark(FLOOR, value, filled=False)]) for modality, value in signal.items()
    ]
    rows = [(name, marks) for name, marks in rows if marks[0].value.get("value") is not None]
    if not signal or not rows:
        return None
    listed = "; ".join(f"{name} {number(mark.value['value'])}" for name, (mark,) in rows)
    return one_mark("signal", f"AUC: {listed}.", rows, span_of(mark for _, (mark,) in rows))


def differences_figure(comparisons: list[dict[str, Any]], metric: str, name: str = "differences") -> Markup | None:
    """Paired differences between arms with their intervals around a line at 0; None when there is none.

    `name` keeps the ids of two pictures apart.
    """
    rows: Rows = []
    for found in comparisons:
        if found["metric"] == metric and found.get("difference") is not None:
            label = f"{minus(found['a'], found['b'])}\n{place_name(found['where'], metric).lower()}"
            rows.append((label, [Mark(look(found["a"]), {**found, "value": found["difference"]})]))
    if not rows:
        return None
    listed = [f"{label} {number(mark.value['value'])} ({spread(mark.value)})" for label, (mark,) in rows]
    alt = f"Differences in {metric_name(metric)}: {'; '.join(listed)}.".replace("\n", ", ")
    zero = Mark(FLOOR, {"value": 0.0})
    return one_mark(f"{name}-{metric}", alt, rows, span_of([zero, *(m for _, (m,) in rows)]), line=0.0)


def ablation_figure(metrics: dict[str, Any], metric: str, place: str) -> Markup | None:
    """Every arm with all modalities, and with each one removed at test time; None when it was not measured."""
    rows: dict[str, list[Mark]] = {}
    for arm, scores in metrics.get("arms", {}).items():
        tried = {f"Without {modality}": found for modality, found in (scores.get("without") or {}).items()}
        for name, found in ({"All modalities": scores} | tried if tried else {}).items():
            value = (found.get(place) or {}).get(metric) or {}
            if value.get("value") is not None:
                rows.setdefault(name, []).append(Mark(look(arm), value))
    if len(rows) < 2:
        return None
    title = f"{metric_name(metric)} without a modality, {place_name(place).lower()}"
    return many_marks(f"ablation-{metric}-{place}", title, list(rows.items()))


def _scored(metrics: dict[str, Any], metric: str, place: str) -> Rows:
    rows = [(look(arm).name, look(arm), found, place) for arm, found in metrics.get("arms", {}).items()]
    for name, found in metrics.get("baselines", {}).items():
        rows.append(
            (baseline_name(name), FLOOR, found, "own" if place == "own_site_mean" and place not in found else place)
        )
    marks = [
        (name, Mark(style, (found.get(at) or {}).get(metric) or {}, style is not FLOOR))
        for name, style, found, at in rows
    ]
    return [(name, [mark]) for name, mark in marks if mark.value.get("value") is not None]
