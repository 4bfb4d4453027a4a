"""The utility curve as one picture: what is left at each epsilon, between the hospitals alone and no privacy at all."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from simulations.report.drawing import INK, RULE, canvas, legend_above, quiet
from simulations.report.words import look, metric_name
from simulations.utility.rows import CHANCE

__all__ = ["draw_curve"]

Row = dict[str, Any]
PRIVATE = "#7a5195"


def draw_curve(content: dict[str, Any], folder: Path) -> None:
    """Write utility.svg and utility.png into `folder`."""
    rows = {row["arm"]: row for row in content["rows"]}
    private = [row for row in reversed(content["rows"]) if row["privacy"]]
    metric = content["metric"]
    with quiet():
        figure, axes = canvas(620, 400, left=52, top=52, bottom=70, right=16)
        for arm in ("local", "pooled"):
            _draw_level(axes, rows[arm], metric, len(private))
        axes.axhline(CHANCE, color=INK, linewidth=0.9, linestyle=(0, (1, 3)), zorder=0)
        axes.annotate("chance", (len(private) + 0.42, CHANCE), ha="right", va="bottom", fontsize=11)
        _draw_private(axes, [*private, rows["federated"]], metric)
        axes.set_xticks(range(len(private) + 1), [*(row["arm"] for row in private), "no privacy"])
        axes.set_xlim(-0.45, len(private) + 0.45)
        axes.set_ylabel(metric_name(metric))
        terms = private[0]["privacy"]
        axes.set_xlabel(
            f"epsilon of one study at delta {terms['delta']:g}, {terms['patients']} training patients a hospital\n"
            f"mean over seeds ({content['repeats']}) with 95 % interval"
        )
        axes.grid(axis="y", color=RULE, linewidth=0.8)
        legend_above(axes, 3)
        for suffix in ("svg", "png"):
            figure.savefig(folder / f"utility.{suffix}", metadata={"Date": None} if suffix == "svg" else None, dpi=110)


def _draw_level(axes: Axes, row: Row, metric: str, last: int) -> None:
    """A line through the whole picture, with its interval."""
    value, style = row["values"][metric], look(row["arm"])
    if value["value"] is None:
        return
    names = {"local": "each hospital alone", "pooled": "pooled"}
    axes.axhline(
        value["value"], color=style.colour, linewidth=1.3, linestyle=(0, (5, 3)), label=names[row["arm"]], zorder=1
    )
    if value["low"] is not None:
        axes.axhspan(value["low"], value["high"], color=style.colour, alpha=0.08, linewidth=0, zorder=0)


def _draw_private(axes: Axes, rows: list[Row], metric: str) -> None:
    """The curve from the smallest epsilon to no privacy, and each model's worst hospital."""
    values = [row["values"][metric] for row in rows]
    places = [place for place, value in enumerate(values) if value["value"] is not None]
    axes.plot(places, [values[place]["value"] for place in places], color=PRIVATE, linewidth=1.6, zorder=2)
    seen: set[str] = set()
    for place in places:
        value, row = values[place], rows[place]
        private = row["privacy"] is not None
        colour = PRIVATE if private else look("federated").colour
        label = "federated, private" if private else "federated"
        if value["low"] is not None:
            axes.plot([place] * 2, [value["low"], value["high"]], color=colour, linewidth=1.6, alpha=0.7, zorder=2)
        axes.plot(
            place,
            value["value"],
            marker="o",
            markersize=7,
            color=colour,
            linestyle="none",
            label=None if label in seen else label,
            zorder=3,
        )
        if row["worst_site"]:
            axes.plot(
                place + 0.09,
                row["worst_site"]["value"],
                marker="v",
                markersize=6,
                color=colour,
                markerfacecolor="white",
                linestyle="none",
                label=None if "worst" in seen else "its worst hospital",
                zorder=3,
            )
            seen.add("worst")
        seen.add(label)
