"""The ablation as one picture: every row's main metric with its interval, the reference as a line through all."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from simulations.report.drawing import INK, RULE, canvas, legend_above, quiet, text_width
from simulations.report.words import FLOOR, baseline_name, look, metric_name

__all__ = ["draw_ablation"]

STEP = 21  # CSS px a row
UNSEEN = "#c8741c"


def draw_ablation(content: dict[str, Any], folder: Path) -> None:
    """Write ablation.svg and ablation.png into `folder`."""
    metric = content["metrics"][0]
    rows = _shown(content)
    labels = [label for label, _ in rows]
    left = text_width([label for label in labels if label], most=260)
    height = STEP * len(rows) + 84
    with quiet():
        figure, axes = canvas(left + 520, height, left=left, top=34, bottom=44)
        _draw_rows(axes, rows, metric, content["arm"])
        _draw_reference(axes, content, metric)
        axes.set_yticks(range(len(rows)), labels)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        for tick, (_, row) in zip(axes.get_yticklabels(), rows, strict=True):
            tick.set_fontweight("bold" if row is None or row.get("reference") else "normal")
        axes.set_xlabel(f"{metric_name(metric)}, mean over seeds ({content['seeds']}) with 95 % interval")
        axes.grid(axis="x", color=RULE, linewidth=0.8)
        legend_above(axes, 3)
        for suffix in ("svg", "png"):
            figure.savefig(folder / f"ablation.{suffix}", metadata={"Date": None} if suffix == "svg" else None, dpi=110)


def _shown(content: dict[str, Any]) -> list[tuple[str, dict[str, Any] | None]]:
    """Lines of the picture from top to bottom: the name of each axis, then its rows that were run."""
    lines: list[tuple[str, dict[str, Any] | None]] = []
    for axis in dict.fromkeys(row["axis"] for row in content["rows"]):
        lines.append((axis[:1].upper() + axis[1:], None))
        lines += [(row["value"], row) for row in content["rows"] if row["axis"] == axis and "values" in row]
    lines.append(("Floors", None))
    return lines + [(baseline_name(floor["value"]), floor) for floor in content["floors"]]


def _draw_rows(axes: Axes, rows: list[tuple[str, dict[str, Any] | None]], metric: str, arm: str) -> None:
    seen: set[str] = set()
    for place, shift in (("own", -0.14), ("unseen", 0.14)):
        for y, (_, row) in enumerate(rows):
            value = (row or {}).get("values", {}).get(place, {}).get(metric)
            if value is None or value["value"] is None:
                continue
            floor = row is not None and row["axis"] == "floor"
            name = {"own": "own test patients", "unseen": "unseen hospitals"}[place]
            label = "floor" if floor else name
            colour = FLOOR.colour if floor else (look(arm).colour if place == "own" else UNSEEN)
            low, high = value["low"], value["high"]
            if low is not None and high is not None:
                axes.plot([low, high], [y + shift] * 2, color=colour, linewidth=1.3, alpha=0.75)
            face = colour if place == "own" else "white"
            axes.plot(
                value["value"],
                y + shift,
                marker="o",
                markersize=5,
                color=colour,
                markerfacecolor=face,
                linestyle="none",
                label=None if label in seen else label,
            )
            seen.add(label)


def _draw_reference(axes: Axes, content: dict[str, Any], metric: str) -> None:
    for row in content["rows"]:
        if row["reference"] and "values" in row:
            value = row["values"]["own"][metric]["value"]
            if value is not None:
                axes.axvline(value, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
            return
