"""Calibration: what a model predicts against what came true, by bins of probability or by groups at the time edges."""

from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulations.report.drawing import MUTED, RULE, canvas, legend_above, quiet, to_svg
from simulations.report.words import look, number, place_name

__all__ = ["calibration_figures"]

WIDTH = 340
PLACES = ("own", "unseen")
EDGES = ("#2a7f8e", "#b07a3c", "#8a6aa8", "#b8607f", "#66864b", "#3f5a78")  # one a time edge
MARKERS = ("o", "s", "^", "D", "v", "P")
FEW = "fewer than"


def calibration_figures(metrics: dict[str, Any]) -> list[tuple[str, Markup]]:
    """A title and a picture for each arm, and for survival each group of patients; [] without the section."""
    figures = []
    for arm, places in (metrics.get("calibration") or {}).items():
        shown = {place: places[place]["bins"] for place in PLACES if place in places}
        survival = any("months" in each for bins in shown.values() for each in bins)
        if not survival:
            figures.append((look(arm).name, _reliability(arm, shown)))
            continue
        for place, bins in shown.items():
            title = f"{look(arm).name}, {'own patients' if place == 'own' else place_name(place).lower()}"
            figures.append((title, _survival(arm, place, bins)))
    return [(title, picture) for title, picture in figures if picture is not None]


def _reliability(arm: str, places: dict[str, list[dict[str, Any]]]) -> Markup | None:
    """Share right against mean top probability, 15 bins; below it the patients of each bin."""
    known = {place: [b for b in bins if b.get("observed") is not None] for place, bins in places.items()}
    if not any(known.values()):
        return None
    style = look(arm)
    with quiet():
        figure, axes = canvas(WIDTH, 420, left=56, top=26, bottom=130)
        axes.plot([0, 1], [0, 1], color="#9aa5b1", linewidth=1)
        for place, bins in known.items():
            face = style.colour if place == "own" else "white"
            x, y = [b["predicted"] for b in bins], [b["observed"] for b in bins]
            axes.vlines(
                x, [b["low"] for b in bins], [b["high"] for b in bins], color=style.colour, linewidth=1.2, alpha=0.5
            )
            axes.plot(x, y, color=style.colour, linewidth=1.2, alpha=0.8, linestyle="-" if place == "own" else "--")
            axes.scatter(
                x, y, s=38, marker=style.marker, facecolor=face, edgecolor=style.colour, linewidth=1.4, zorder=3,
                label="own patients" if place == "own" else "unseen hospitals",
            )  # fmt: skip
        axes.set_ylim(-0.03, 1.03)
        axes.set_ylabel("Share right")
        axes.grid(color=RULE, linewidth=0.8)
        left = min(b["from"] for bins in places.values() for b in bins if b["n"])
        axes.set_xlim(left - 0.02, 1.02)
        axes.tick_params(labelbottom=False)
        legend_above(axes, columns=2)
        _counts(figure, places, style.colour, (left - 0.02, 1.02))
        told = "; ".join(f"{place}: " + _pairs(bins) for place, bins in known.items())
        return to_svg(
            figure, f"calibration-{arm}", f"Calibration of the {style.name.lower()} arm, predicted/right: {told}."
        )


def _counts(figure: Figure, places: dict[str, list[dict[str, Any]]], colour: str, span: tuple[float, float]) -> None:
    """Patients a bin, own above unseen; a bin of fewer than 5 says so."""
    axes = figure.add_axes((56 / WIDTH, 48 / 420, (WIDTH - 66) / WIDTH, 66 / 420), frame_on=False)
    axes.tick_params(length=0, pad=6)
    for row, bins in enumerate(places.values()):
        for each in bins:
            few = each["n"] and each.get("reason")
            text = "<5" if few else str(each["n"] or "")
            middle = (each["from"] + each["to"]) / 2
            axes.text(
                middle,
                row,
                text,
                ha="center",
                va="center",
                size=9.5,
                color=MUTED if few else colour,
                rotation=90 if len(text) > 2 else 0,
            )
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.set_xlim(*span)
    axes.set_yticks(
        range(len(places)), ["n own" if place == "own" else "n unseen" for place in places], size=9.5, color=MUTED
    )
    axes.set_xlabel("Mean probability of the predicted class")


def _survival(arm: str, place: str, bins: list[dict[str, Any]]) -> Markup | None:
    """Kaplan-Meier's survival against the mean predicted one, five groups a time edge."""
    known = [b for b in bins if b.get("observed") is not None]
    if not known:
        return None
    with quiet():
        lines = -(-len({b["months"] for b in bins}) // 4)
        figure, axes = canvas(WIDTH, 350 + 20 * lines, left=56, top=6 + 20 * lines, bottom=48)
        axes.plot([0, 1], [0, 1], color="#9aa5b1", linewidth=1)
        for i, months in enumerate(dict.fromkeys(b["months"] for b in bins)):
            _edge(axes, [b for b in known if b["months"] == months], f"{months:g} mo", i)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.grid(color=RULE, linewidth=0.8)
        size = sorted({b["n"] for b in known})
        axes.set_xlabel(f"Predicted survival ({size[0]}{f' to {size[-1]}' if len(size) > 1 else ''} patients a group)")
        axes.set_ylabel("Observed survival")
        legend_above(axes, columns=4)
        whom = f"the {look(arm).name.lower()} arm, {place_name(place).lower()}"
        return to_svg(
            figure, f"calibration-{arm}-{place}", f"Survival predicted by {whom}, predicted/observed: {_pairs(known)}."
        )


def _edge(axes: Axes, bins: list[dict[str, Any]], label: str, i: int) -> None:
    colour, marker = EDGES[i % len(EDGES)], MARKERS[i % len(MARKERS)]
    x, y = [b["predicted"] for b in bins], [b["observed"] for b in bins]
    for each in bins:
        if each.get("low") is not None:
            axes.vlines(each["predicted"], each["low"], each["high"], color=colour, linewidth=1.2, alpha=0.5)
    axes.plot(x, y, color=colour, linewidth=1.2, alpha=0.8)
    axes.scatter(x, y, s=38, marker=marker, color=colour, zorder=3, label=label)


def _pairs(bins: list[dict[str, Any]]) -> str:
    return ", ".join(f"{number(b['predicted'], 2)}/{number(b['observed'], 2)} (n {b['n']})" for b in bins)
