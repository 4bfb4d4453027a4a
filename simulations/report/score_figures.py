"""Figures of scores: arms with intervals, differences between arms, one row a hospital, one row a modality."""

from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes

from simulations.report.drawing import INK, RULE, canvas, legend_handles, quiet, to_svg
from simulations.report.words import Look, baseline_name, look, metric_name, number, place_name, spread

__all__ = ["ablation_figure", "differences_figure", "scores_figure", "sites_figure"]

WIDTH = 500
SITES_AT_MOST = 40


def scores_figure(metrics: dict[str, Any], metric: str, place: str, name: str = "scores") -> Markup | None:
    """Every arm, then every floor, with its 95 % interval; None when nothing was scored there."""
    rows = [(look(arm), scores, True) for arm, scores in metrics.get("arms", {}).items()]
    for floor, scores in metrics.get("baselines", {}).items():
        rows.append((Look(baseline_name(floor), "#8a93a0", "o"), scores, False))
    found = []
    for style, scores, is_arm in rows:
        where = place if is_arm or place in scores else "own" if place == "own_site_mean" else place
        value = (scores.get(where) or {}).get(metric) or {}
        if value.get("value") is not None:
            found.append((style, value, is_arm))
    if not found:
        return None
    with quiet():
        figure, axes = canvas(WIDTH, 62 + 30 * len(found))
        for y, (style, value, is_arm) in enumerate(found):
            _dot(axes, value, y, style, filled=is_arm)
            axes.annotate(
                number(value["value"]),
                (1, y),
                xycoords=("axes fraction", "data"),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                fontsize=10.5,
                color=INK if is_arm else style.colour,
            )
        _rows(axes, [style.name for style, _, _ in found])
        axes.set_xlabel(metric_name(metric))
        listed = "; ".join(f"{s.name} {number(v['value'])} ({spread(v) or 'no interval'})" for s, v, _ in found)
        alt = f"{metric_name(metric)}, {place_name(place).lower()}: {listed}."
        return to_svg(figure, f"{name}-{metric}-{place}", alt)


def differences_figure(comparisons: list[dict[str, Any]], metric: str) -> Markup | None:
    """Paired differences between arms with their intervals around a line at 0; None when there is none."""
    rows = [found for found in comparisons if found["metric"] == metric and found.get("difference") is not None]
    if not rows:
        return None
    names = [f"{look(r['a']).name} − {look(r['b']).name.lower()}\n{place_name(r['where']).lower()}" for r in rows]
    with quiet():
        figure, axes = canvas(WIDTH, 62 + 42 * len(rows))
        axes.axvline(0, color="#9aa5b1", linewidth=1)
        for y, row in enumerate(rows):
            _dot(axes, {**row, "value": row["difference"]}, y, look(row["a"]))
        _rows(axes, names)
        axes.margins(x=0.15)
        axes.set_xlabel(f"Difference in {metric_name(metric)}")
        listed = [f"{name} {number(r['difference'])} ({spread(r)})" for name, r in zip(names, rows, strict=True)]
        alt = f"Differences in {metric_name(metric)}: {'; '.join(listed)}.".replace("\n", ", ")
        return to_svg(figure, f"differences-{metric}", alt)


def sites_figure(metrics: dict[str, Any], metric: str) -> Markup | None:
    """One row a hospital, one mark an arm, with 95 % intervals; the largest 40 hospitals. None without scores."""
    arms = {arm: scores.get("sites") or {} for arm, scores in metrics.get("arms", {}).items()}
    held: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for arm, sites in arms.items():
        for site, scores in sites.items():
            value = scores.get(metric) or {}
            if value.get("value") is not None:
                held.setdefault(site, []).append((arm, value))
    if not held:
        return None
    order = sorted(held, key=lambda site: -max(value.get("n") or 0 for _, value in held[site]))[:SITES_AT_MOST]
    shown = [arm for arm in arms if any(arm == found for values in held.values() for found, _ in values)]
    with quiet():
        figure, axes = canvas(WIDTH, 84 + 34 * len(order))
        for y, site in enumerate(order):
            axes.axhspan(y - 0.5, y + 0.5, color="#f6f8fa" if y % 2 == 0 else "white", linewidth=0)
            for arm, value in held[site]:
                offset = 0.0 if len(shown) == 1 else (shown.index(arm) / (len(shown) - 1) - 0.5) * 0.5
                _dot(axes, value, y + offset, look(arm), size=36, thin=True)
        for arm in shown:
            axes.scatter([], [], color=look(arm).colour, marker=look(arm).marker, s=36, label=look(arm).name)
        _rows(axes, [f"{site}   n {max(value.get('n') or 0 for _, value in held[site])}" for site in order])
        axes.set_xlabel(metric_name(metric))
        legend_handles(axes)
        listed = [
            f"{site}: " + ", ".join(f"{look(arm).name.lower()} {number(v['value'])}" for arm, v in held[site])
            for site in order
        ]
        return to_svg(figure, f"sites-{metric}", f"{metric_name(metric)} at each hospital. {'; '.join(listed)}.")


def ablation_figure(arm: str, scores: dict[str, Any], metric: str, place: str) -> Markup | None:
    """The arm's score with every modality, and with each one removed at test time; None when not measured."""
    rows = [("All modalities", (scores.get(place) or {}).get(metric) or {})]
    for modality, without in (scores.get("without") or {}).items():
        rows.append((f"Without {modality}", (without.get(place) or {}).get(metric) or {}))
    rows = [(name, value) for name, value in rows if value.get("value") is not None]
    if len(rows) < 2 or rows[0][0] != "All modalities":
        return None
    with quiet():
        figure, axes = canvas(WIDTH, 62 + 30 * len(rows))
        axes.axvline(rows[0][1]["value"], color=look(arm).colour, linewidth=1, alpha=0.35)
        for y, (_, value) in enumerate(rows):
            _dot(axes, value, y, look(arm), filled=y == 0)
        _rows(axes, [name for name, _ in rows])
        axes.set_xlabel(metric_name(metric))
        listed = "; ".join(f"{name.lower()} {number(value['value'])}" for name, value in rows)
        alt = f"{look(arm).name}, {metric_name(metric)}, {place_name(place).lower()}: {listed}."
        return to_svg(figure, f"ablation-{arm}-{metric}-{place}", alt)


def _dot(
    axes: Axes,
    value: dict[str, Any],
    y: float,
    style: Look,
    *,
    filled: bool = True,
    size: float = 64,
    thin: bool = False,
) -> None:
    low, high = value.get("low"), value.get("high")
    if low is not None and high is not None:
        axes.hlines(y, low, high, color=style.colour, linewidth=1.4 if thin else 2.4, alpha=0.5 if thin else 0.75)
    face = style.colour if filled else "white"
    axes.scatter(
        [value["value"]],
        [y],
        s=size,
        marker=style.marker,
        facecolor=face,
        edgecolor=style.colour,
        linewidth=1.6,
        zorder=3,
    )


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x", color=RULE, linewidth=0.8)
    axes.margins(x=0.08)
