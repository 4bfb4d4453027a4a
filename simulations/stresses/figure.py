"""All curves as one picture: two panels a stress, own patients above and unseen hospitals below."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulations.report.drawing import INK, MUTED, RULE, quiet
from simulations.report.words import look, metric_name
from simulations.stresses.tables import PLACES

__all__ = ["draw_stress", "stress_figure"]

COLUMNS = 4
WIDTH, HEIGHT, GAP = 262, 132, 10  # CSS px of a panel's cell, and between own and unseen
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 40, 58
LEGEND = 15  # CSS px a line of the legend
COLOURS = ("#1f5f99", "#2a9d8f", "#7a5195", "#b0476b", "#8a8d2f")  # not the colour of the arm local
MARKERS = ("o", "^", "D", "v", "P")
SIGNATURE = "#7d8792"
CHANCE = 0.5
MARKS = (
    "Bars: 95 % intervals. Ring: prepare left something out. Cross: no model, at one seed or more. Dotted line: chance."
)
NOTE, CHARACTERS = 13, 40  # CSS px a line of MARKS, and how many characters of it stand under one column


def draw_stress(content: dict[str, Any], folder: Path) -> None:
    """Write stress.svg and stress.png into `folder`."""
    with quiet():
        figure = stress_figure(content)
        for suffix in ("svg", "png"):
            figure.savefig(folder / f"stress.{suffix}", metadata={"Date": None} if suffix == "svg" else None, dpi=110)


def stress_figure(content: dict[str, Any]) -> Figure:
    """The picture; call it inside `quiet()`."""
    curves, metric = content["curves"], content["metric"]
    columns = min(COLUMNS, len(curves))
    legend = LEGEND * max(len(curve["lines"]) * (1 + _signed(curve)) for curve in curves)
    block = TOP + legend + 2 * HEIGHT + GAP + BOTTOM
    rows = -(-len(curves) // columns)
    marks = _wrapped(MARKS, columns * CHARACTERS)
    width, height = columns * WIDTH + 12, rows * block + NOTE * (marks.count("\n") + 1) + 6
    figure = Figure(figsize=(width / 72, height / 72))
    low, high = _limits(content)
    for place, curve in enumerate(curves):
        row, column = divmod(place, columns)
        top = height - row * block - TOP - legend
        left = column * WIDTH + LEFT
        for number, where in enumerate(PLACES):
            base = top - (number + 1) * HEIGHT - number * GAP
            axes = figure.add_axes((left / width, base / height, (WIDTH - LEFT - RIGHT) / width, HEIGHT / height))
            _draw_panel(axes, curve, where, metric, column == 0)
            axes.set_ylim(low, high)
            axes.set_xlabel(_wrapped(curve["axis"]) if number else "", fontsize=10)
            if number == 0:
                axes.tick_params(labelbottom=False)
                axes.set_title(curve["title"], loc="left", fontsize=12.5, fontweight="bold", pad=legend + 10)
                _legend(axes, legend)
    figure.text(LEFT / width, 6 / height, marks, fontsize=10, color=MUTED, va="bottom")
    return figure


def _draw_panel(axes: Axes, curve: dict[str, Any], where: str, metric: str, first: bool) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, pad=5, labelsize=10.5)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.axhline(CHANCE, color=INK, linewidth=0.9, linestyle=(0, (1, 3)), zorder=0)
    doses = curve["doses"]
    shift = 0.07
    for number, line in enumerate(curve["lines"]):
        colour = look("local").colour if line["arm"] == "local" else COLOURS[number]
        rows = [row for row in curve["rows"] if row["line"] == line["name"]]
        offset = shift * (number - (len(curve["lines"]) - 1) / 2)
        _draw_line(axes, rows, where, metric, colour, MARKERS[number], offset, line)
    if _signed(curve):
        _draw_signature(axes, curve)
    axes.set_xticks(range(len(doses)), [f"{dose:g}" for dose in doses])
    axes.set_xlim(-0.35, len(doses) - 0.65)
    words = "unseen hospitals" if where == "unseen" else "own test patients"
    nobody = not any(where in row["values"] for row in curve["rows"])
    axes.text(0.01, 0.03, f"no {words}" if nobody else words, transform=axes.transAxes, fontsize=10, color=MUTED,
              va="bottom", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5}, zorder=1)  # fmt: skip
    if first:
        axes.set_ylabel(metric_name(metric), fontsize=10.5)


def _draw_line(
    axes: Axes,
    rows: list[dict[str, Any]],
    where: str,
    metric: str,
    colour: str,
    marker: str,
    offset: float,
    line: dict[str, Any],
) -> None:
    values = [row["values"].get(where, {}).get(metric) for row in rows]
    known = [place for place, value in enumerate(values) if value is not None and value["value"] is not None]
    dashed = line["arm"] == "local"
    axes.plot(
        [place + offset for place in known],
        [values[place]["value"] for place in known],
        color=colour,
        linewidth=1.4,
        linestyle=(0, (4, 2)) if dashed else "-",
        marker=marker,
        markersize=4.5,
        markerfacecolor="white" if dashed else colour,
        label=line["words"],
        zorder=3,
    )
    for place in known:
        value = values[place]
        if value["low"] is not None:
            axes.plot([place + offset] * 2, [value["low"], value["high"]], color=colour, linewidth=1, alpha=0.45)
    for place, row in enumerate(rows):
        if row["failed"]:  # a cross on the floor of the panel
            axes.plot(
                place + offset, 0.07, marker="x", markersize=6, color=colour, transform=axes.get_xaxis_transform()
            )
        elif row["prepare"] and place in known:
            axes.plot(place + offset, values[place]["value"], marker="o", markersize=10, color=colour,
                      markerfacecolor="none", zorder=2)  # fmt: skip


def _draw_signature(axes: Axes, curve: dict[str, Any]) -> None:
    """The AUC with which slide features name the hospital, under each line's settings."""
    for line, style in zip(curve["lines"], (":", "-.", "--", "-"), strict=False):
        signatures = [row["signature"] for row in curve["rows"] if row["line"] == line["name"]]
        words = "slides name the hospital" if line is curve["lines"][0] else f"the same, {line['words']}"
        places = [place for place, signature in enumerate(signatures) if signature is not None]
        found = [signatures[place] for place in places]
        axes.plot(places, found, color=SIGNATURE, linewidth=1.3, linestyle=style, label=words, zorder=2)


def _signed(curve: dict[str, Any]) -> bool:
    return any(row["signature"] is not None for row in curve["rows"])


def _limits(content: dict[str, Any]) -> tuple[float, float]:
    """One scale for all panels, so that curves can be compared."""
    ends = [CHANCE]
    for curve in content["curves"]:
        for row in curve["rows"]:
            for where in PLACES:
                value = row["values"].get(where, {}).get(content["metric"])
                if value is not None and value["low"] is not None:
                    ends += [value["low"], value["high"]]
            ends += [row["signature"]] if row["signature"] is not None else []
    return max(0.0, min(ends) - 0.03), min(1.02, max(ends) + 0.03)


def _legend(axes: Axes, height: float) -> None:
    """Right under the title, which stands `height` CSS px above the panel."""
    place = (-0.02, 1.0 + (height + 6) / HEIGHT)
    axes.legend(loc="upper left", bbox_to_anchor=place, frameon=False, borderaxespad=0.2, handletextpad=0.5,
                labelspacing=0.15, fontsize=10)  # fmt: skip


def _wrapped(text: str, width: int = 34) -> str:
    lines: list[str] = [""]
    for word in text.split():
        lines = [*lines[:-1], f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < width else [*lines, word]
    return "\n".join(lines)
