"""Figures of one row a name: values with their 95 % intervals as marks, one or several in a row."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from simulations.report.drawing import INK, RULE, canvas, legend_above, quiet, text_width, to_svg
from simulations.report.words import Look, number

__all__ = ["Mark", "Rows", "Span", "V", "many_marks", "one_mark", "span_of"]

WIDTH = 500
V: TypeAlias = dict[str, Any]
Span: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """A value in a row, drawn in the look of its arm; hollow for a floor or an impaired model."""

    look: Look
    value: V
    filled: bool = True


Rows: TypeAlias = list[tuple[str, list[Mark]]]


def span_of(marks: Iterable[Mark]) -> Span:
    """Ends of an axis that holds every value and interval."""
    ends = [end for mark in marks for key in ("value", "low", "high") if (end := mark.value.get(key)) is not None]
    margin = 0.07 * (max(ends) - min(ends)) or 0.05
    return min(ends) - margin, max(ends) + margin


def one_mark(name: str, alt: str, rows: Rows, span: Span, *, line: float | None = None) -> Markup:
    """One mark a row, its figure at the right; `line` is a value that all are held against."""
    lines = max(label.count("\n") + 1 for label, _ in rows)
    with quiet():
        left = text_width([label for label, _ in rows])
        figure, axes = canvas(WIDTH, 34 + (16 + 16 * lines) * len(rows), left=left, right=58)
        if line is not None:
            axes.axvline(line, color="#9aa5b1", linewidth=1)
        for y, (_, (mark,)) in enumerate(rows):
            _dot(axes, mark, y, size=62)
            colour = INK if mark.filled else mark.look.colour
            axes.text(
                1.02, y, number(mark.value["value"]), transform=axes.get_yaxis_transform(), va="center", color=colour
            )
        _frame(axes, [label for label, _ in rows], span)
        return to_svg(figure, name, alt)


def many_marks(name: str, title: str, rows: Rows, *, line: float | None = None) -> Markup:
    """Several marks a row, one a look, with a legend above; `line` is a value that all are held against."""
    shown = list(dict.fromkeys(mark.look for _, marks in rows for mark in marks))
    pitch = max(36, 10 + 12 * len(shown))  # CSS px a row
    with quiet():
        left = text_width([label for label, _ in rows])
        columns = max(1, int((WIDTH - left) // max(40 + 6.9 * len(style.name) for style in shown)))
        lines = -(-len(shown) // columns)
        figure, axes = canvas(WIDTH, 44 + 20 * lines + pitch * len(rows), left=left, top=8 + 20 * lines)
        for y, (_, marks) in enumerate(rows):
            axes.axhspan(y - 0.5, y + 0.5, color="#f6f8fa" if y % 2 == 0 else "white", linewidth=0)
            for mark in marks:
                place = shown.index(mark.look) / (len(shown) - 1) - 0.5 if len(shown) > 1 else 0.0
                _dot(axes, mark, y + 0.52 * place, size=36, thin=True)
        held = [mark for _, marks in rows for mark in marks]
        if line is not None:
            axes.axvline(line, color="#9aa5b1", linewidth=1)
            held.append(Mark(shown[0], {"value": line}))
        for style in shown:
            axes.scatter([], [], color=style.colour, marker=style.marker, s=40, label=style.name)
        _frame(axes, [label for label, _ in rows], span_of(held))
        legend_above(axes, columns)
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
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(axis="x", color=RULE, linewidth=0.8)
