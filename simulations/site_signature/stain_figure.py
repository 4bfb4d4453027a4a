"""The stain-shift experiment as one picture: the signature at the left, own and unseen scores at the right."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulations.report.drawing import INK, MUTED, RULE, quiet
from simulations.report.words import metric_name, number, spread
from simulations.site_signature.stain_tables import setting_name

__all__ = ["draw_stain_figure"]

SIGNATURE, OWN, UNSEEN = "#7a5195", "#1f5f99", "#c8741c"
WIDTH, ROW = 980, 58  # CSS pixels


def draw_stain_figure(content: dict[str, Any], folder: Path) -> None:
    """Write stain-shift.svg and stain-shift.png into `folder`."""
    rows = content["rows"]
    height = 150 + ROW * len(rows)
    with quiet():
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        left = figure.add_axes((0.225, 88 / height, 0.3, ROW * len(rows) / height))
        right = figure.add_axes((0.56, 88 / height, 0.3, ROW * len(rows) / height))
        _draw_signature(left, rows)
        _draw_gap(right, rows)
        left.set_yticks(range(len(rows)), [setting_name(row["setting"]) for row in rows])
        right.set_yticks([])
        for axes, title in ((left, "Does the slide name the hospital?"), (right, "Own and unseen hospitals")):
            axes.set_title(title, loc="left", fontsize=13, color=INK, pad=26)
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.grid(axis="x", color=RULE, linewidth=0.8)
            axes.tick_params(length=0, pad=6)
            axes.set_axisbelow(True)
            for side in ("top", "right", "left"):
                axes.spines[side].set_visible(False)
        left.set_xlabel(
            "AUC of naming the hospital among patients of one grade\n.5 = cannot be told; ring = hospitals at random"
        )
        right.set_xlabel(
            f"{metric_name(content['metric'])} of the grade; the figure at the right is the gap\n95 % intervals"
        )
        for suffix in ("svg", "png"):
            figure.savefig(
                folder / f"stain-shift.{suffix}", metadata={"Date": None} if suffix == "svg" else None, dpi=110
            )


def _draw_signature(axes: Axes, rows: list[dict[str, Any]]) -> None:
    axes.axvline(0.5, color=INK, linewidth=0.9, linestyle=(0, (1, 3)))
    for y, row in enumerate(rows):
        value = row["signature"]
        axes.hlines(y, value["low"], value["high"], color=SIGNATURE, linewidth=2.2, alpha=0.7)
        axes.plot(value["cohorts"], [y] * len(value["cohorts"]), "|", color=SIGNATURE, markersize=11, alpha=0.6)
        axes.plot(value["value"], y, "o", color=SIGNATURE, markersize=8)
        axes.plot(row["null"], y, "o", markeredgecolor=MUTED, markerfacecolor="white", markersize=6, zorder=1)
        axes.annotate(number(value["value"]), (value["value"], y), (0, 10), textcoords="offset points", ha="center")
    axes.set_xlim(0.4, 1.02)


def _draw_gap(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for y, row in enumerate(rows):
        own, unseen, gap = row["own"], row["unseen"], row["gap"]
        axes.hlines(y, unseen["value"], own["value"], color=MUTED, linewidth=1.2, zorder=1)
        for value, colour, shift, name in (
            (own, OWN, -0.13, "own patients"),
            (unseen, UNSEEN, 0.13, "unseen hospitals"),
        ):
            axes.hlines(y + shift, value["low"], value["high"], color=colour, linewidth=1.8, alpha=0.45)
            axes.plot(
                value["value"], y, "o" if colour == OWN else "D", color=colour, markersize=8, label="" if y else name
            )
        told = f"{number(gap['value'])}\n{spread(gap)}"
        axes.text(1.03, y, told, transform=axes.get_yaxis_transform(), va="center", fontsize=11, color=INK)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, frameon=False, borderaxespad=0.2, fontsize=11)
