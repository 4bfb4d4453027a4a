"""Figures of scores: arms with intervals, differences between arms, one row a hospital, one row a modality."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from markupsafe import Markup
from matplotlib.axes import Axes

from simulations.report.drawing import INK, RULE, canvas, legend_above, quiet, text_width, to_svg
from simulations.report.words import FLOOR, Look, baseline_name, look, metric_name, number, place_name, spread

__all__ = ["ablation_figure", "differences_figure", "scores_figure", "signal_figure", "sites_figure"]

WIDTH = 500
SITES_AT_MOST = 40
V: TypeAlias = dict[str, Any]
Span: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """A value in a row, drawn in the look of its arm; hollow for a floor or an impaired model."""

    look: Look
    value: V
    filled: bool = True


Rows: TypeAlias = list[tuple[str, list[Mark]]]


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
    alt = f"{metric_name(metric)}, {place_name(place).lower()}: {listed}."
    return _single(f"scores-{metric}-{place}", alt, rows, _span(mark for r in panels.values() for _, (mark,) in r))


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
    return _single("signal", f"AUC: {listed}.", rows, _span(mark for _, (mark,) in rows))


def differences_figure(comparisons: list[dict[str, Any]], metric: str) -> Markup | None:
    """Paired differences between arms with their intervals around a line at 0; None when there is none."""
    rows: Rows = []
    for found in comparisons:
        if found["metric"] == metric and found.get("difference") is not None:
            name = f"{look(found['a']).name} − {look(found['b']).name.lower()}\n{place_name(found['where']).lower()}"
            rows.append((name, [Mark(look(found["a"]), {**found, "value": found["difference"]})]))
    if not rows:
        return None
    listed = [f"{name} {number(mark.value['value'])} ({spread(mark.value)})" for name, (mark,) in rows]
    alt = f"Differences in {metric_name(metric)}: {'; '.join(listed)}.".replace("\n", ", ")
    zero = Mark(FLOOR, {"value": 0.0})
    return _single(f"differences-{metric}", alt, rows, _span([zero, *(m for _, (m,) in rows)]), zero=True)


def sites_figure(metrics: dict[str, Any], metric: str) -> Markup | None:
    """One row a hospital, one mark an arm, with 95 % intervals; the largest 40 hospitals. None without scores."""
    held: dict[str, list[Mark]] = {}
    for arm, scores in metrics.get("arms", {}).items():
        for site, found in (scores.get("sites") or {}).items():
            value = found.get(metric) or {}
            if value.get("value") is not None:
                held.setdefault(site, []).append(Mark(look(arm), value))
    size = {site: max(mark.value.get("n") or 0 for mark in marks) for site, marks in held.items()}
    order = sorted(held, key=lambda site: -size[site])[:SITES_AT_MOST]
    rows = [(f"{site} (n {size[site]})" if size[site] else site, held[site]) for site in order]
    return _many(f"sites-{metric}", f"{metric_name(metric)} at each hospital", rows) if rows else None


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
    return _many(f"ablation-{metric}-{place}", title, list(rows.items()))


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


def _span(marks: Iterable[Mark]) -> Span:
    """Ends of an axis that holds every value and interval."""
    ends = [end for mark in marks for key in ("value", "low", "high") if (end := mark.value.get(key)) is not None]
    margin = 0.07 * (max(ends) - min(ends)) or 0.05
    return min(ends) - margin, max(ends) + margin


def _single(name: str, alt: str, rows: Rows, span: Span, *, zero: bool = False) -> Markup:
    """One mark a row, its figure at the right."""
    lines = max(label.count("\n") + 1 for label, _ in rows)
    with quiet():
        left = text_width([label for label, _ in rows])
        figure, axes = canvas(WIDTH, 34 + (16 + 16 * lines) * len(rows), left=left, right=48)
        if zero:
            axes.axvline(0, color="#9aa5b1", linewidth=1)
        for y, (_, (mark,)) in enumerate(rows):
            _dot(axes, mark, y, size=62)
            colour = INK if mark.filled else mark.look.colour
            axes.text(
                1.02, y, number(mark.value["value"]), transform=axes.get_yaxis_transform(), va="center", color=colour
            )
        _frame(axes, [label for label, _ in rows], span)
        return to_svg(figure, name, alt)


def _many(name: str, title: str, rows: Rows) -> Markup:
    """Several marks a row, one an arm, with a legend above."""
    shown = list(dict.fromkeys(mark.look for _, marks in rows for mark in marks))
    with quiet():
        figure, axes = canvas(WIDTH, 64 + 36 * len(rows), left=text_width([label for label, _ in rows]), top=28)
        for y, (_, marks) in enumerate(rows):
            axes.axhspan(y - 0.5, y + 0.5, color="#f6f8fa" if y % 2 == 0 else "white", linewidth=0)
            for mark in marks:
                place = shown.index(mark.look) / (len(shown) - 1) - 0.5 if len(shown) > 1 else 0.0
                _dot(axes, mark, y + 0.52 * place, size=36, thin=True)
        for style in shown:
            axes.scatter([], [], color=style.colour, marker=style.marker, s=40, label=style.name)
        _frame(axes, [label for label, _ in rows], _span(mark for _, marks in rows for mark in marks))
        legend_above(axes, columns=4)
        listed = [
            f"{label}: " + ", ".join(f"{mark.look.name.lower()} {number(mark.value['value'])}" for mark in marks)
            for label, marks in rows
        ]
        return to_svg(figure, name, f"{title}. {'; '.join(listed)}.")


def _dot(axes: Axes, mark: Mark, y: float, *, size: float, thin: bool = False) -> None:
    low, high, colour = mark.value.get("low"), mark.value.get("high"), mark.look.colour
    if low is not None and high is not None:
        axes.hlines(y, low, high, color=colour, linewidth=1.4 if thin else 2.4, alpha=0.5 if thin else 0.75)
    face = colour if mark.filled else "white"
    x = [mark.value["value"]]
    axes.scatter(x, [y], s=size, marker=mark.look.marker, facecolor=face, edgecolor=colour, linewidth=1.6, zorder=3)


def _frame(axes: Axes, labels: list[str], span: Span) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(*span)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
