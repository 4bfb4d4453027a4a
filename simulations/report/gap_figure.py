"""Own against unseen: how much of each arm's score is lost at a hospital it has never seen."""

from typing import Any

from markupsafe import Markup

from simulations.report.drawing import INK, MUTED, RULE, canvas, quiet, text_width, to_svg
from simulations.report.row_figures import Mark, span_of
from simulations.report.words import FLOOR, Look, baseline_name, look, metric_name, number

__all__ = ["gap_figure", "gap_rows"]

WIDTH = 500
FLOORS = ("site_alone",)
LINES = {"own_site_mean": -0.14, "unseen": 0.14}  # where in a row each group of patients is drawn


def gap_rows(metrics: dict[str, Any], metric: str) -> list[tuple[str, Look, dict[str, Any], dict[str, Any]]]:
    """(name, look, V on own patients, V on unseen) of every arm and of the hospital alone, where both are known."""
    rows = []
    for arm, scores in (metrics.get("arms") or {}).items():
        rows.append((look(arm).name, look(arm), scores))
    for floor in FLOORS:
        if floor in (metrics.get("baselines") or {}):
            rows.append((baseline_name(floor), FLOOR, metrics["baselines"][floor]))
    found = []
    for name, style, scores in rows:
        own = (scores.get("own_site_mean") or scores.get("own") or {}).get(metric) or {}
        unseen = (scores.get("unseen") or {}).get(metric) or {}
        if own.get("value") is not None and unseen.get("value") is not None:
            found.append((name, style, own, unseen))
    return found


def gap_figure(metrics: dict[str, Any], metric: str) -> Markup | None:
    """One row an arm: own patients (filled) and unseen hospitals (hollow), joined, the gap at the right."""
    rows = gap_rows(metrics, metric)
    if not rows:
        return None
    left = text_width([name for name, *_ in rows])
    with quiet():
        figure, axes = canvas(WIDTH, 66 + 46 * len(rows), left=left, right=64, top=30)
        for y, (_, style, own, unseen) in enumerate(rows):
            axes.axhspan(y - 0.5, y + 0.5, color="#f6f8fa" if y % 2 == 0 else "white", linewidth=0)
            ends = [own["value"], unseen["value"]]
            axes.plot(ends, [y - 0.14, y + 0.14], color=style.colour, linewidth=2, alpha=0.45, zorder=1)
            for value, shift, filled in ((own, LINES["own_site_mean"], True), (unseen, LINES["unseen"], False)):
                if value.get("low") is not None and value.get("high") is not None:
                    axes.hlines(y + shift, value["low"], value["high"], color=style.colour, linewidth=1.4, alpha=0.6)
                face = style.colour if filled else "white"
                axes.scatter(
                    [value["value"]], [y + shift], s=48, marker=style.marker, facecolor=face, edgecolor=style.colour,
                    linewidth=1.6, zorder=3,
                )  # fmt: skip
            text = number(unseen["value"] - own["value"])
            axes.text(1.03, y, text, transform=axes.get_yaxis_transform(), va="center", color=INK)
        axes.text(1.03, -0.78, "gap", transform=axes.get_yaxis_transform(), va="center", color=MUTED, clip_on=False)
        for label, face in (("own patients", MUTED), ("unseen hospitals", "white")):
            axes.scatter([], [], s=44, facecolor=face, edgecolor=MUTED, linewidth=1.6, label=label)
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, frameon=False, borderaxespad=0.2, handletextpad=0.3,
            columnspacing=1.2, fontsize=12,
        )  # fmt: skip
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(*span_of([Mark(style, v) for _, style, *values in rows for v in values]))
        axes.grid(axis="x", color=RULE, linewidth=0.8)
        listed = "; ".join(
            f"{name} own {number(own['value'])}, unseen {number(unseen['value'])}" for name, _, own, unseen in rows
        )
        return to_svg(figure, f"gap-{metric}", f"{metric_name(metric)}, own against unseen patients: {listed}.")
