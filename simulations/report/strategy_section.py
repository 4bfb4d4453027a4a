"""Strategies of aggregation side by side: sentences, figures and a table."""

from typing import Any

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from simulations.report.drawing import RULE, canvas, legend_above, quiet, to_svg
from simulations.report.row_figures import Mark, Rows, many_marks
from simulations.report.score_figures import differences_figure
from simulations.report.tables import Cell, Footnotes, Table, comparison_table
from simulations.report.words import (
    FLOOR,
    baseline_name,
    joined,
    key_metric,
    look,
    main_metrics,
    metric_name,
    number,
    place_name,
    shown_place,
)

__all__ = ["strategy_section", "strategy_sentences"]

WIDTH = 500
COLUMNS = 4  # of the legend
UNUSED = "eta_l"  # of FedAdam: Flower's own clients would read it; ours take the study's learning rate
STYLES = ("-", "--", "-.", ":")
ALONE = "site_alone"
PLACES = ("own_site_mean", "unseen")


def strategy_section(metrics: dict[str, Any]) -> dict[str, Any]:
    """The template's `strategies`; {} for a run that federated by one strategy only."""
    found = metrics.get("strategies") or {}
    reached = found.get("reached") or {}
    if len(reached) < 2:
        return {}
    names = main_metrics(metrics)
    learning = _learning({name: part["loss"] for name, part in reached.items() if part.get("loss")})
    pictures = [(metric_name(metric), _scores(reached, metric)) for metric in names]
    pictures += [
        (f"{metric_name(metric)}, difference", differences_figure(found["comparisons"], metric, "strategies-apart"))
        for metric in names
    ]
    return {
        "sentences": strategy_sentences(metrics),
        "figures": [(title, picture) for title, picture in [*pictures, ("Training loss", learning)] if picture],
        "table": _table(metrics, found),
        "comparisons": comparison_table(found),
        "learning": learning is not None,
    }


def strategy_sentences(metrics: dict[str, Any]) -> list[str]:
    """Which strategy is highest where the key result is read, and which differ from the study's own beyond chance."""
    found = metrics["strategies"]
    place, own = shown_place(metrics), look(found["reference"]).name
    metric = key_metric(metrics, place)
    values = {name: _value(part, place, metric).get("value") for name, part in found["reached"].items()}
    known = sorted(((value, name) for name, value in values.items() if value is not None), key=lambda pair: -pair[0])
    listed = ", ".join(f"{look(name).name} {number(value)}" for value, name in known)
    said = [f"Highest first, {metric_name(metric)}, {place_name(place, metric).lower()}: {listed}."] if known else []
    rows = [row for row in found["comparisons"] if row["where"] == place and row["metric"] == metric]
    apart = [look(row["a"]).name for row in rows if row.get("p_holm") is not None and row["p_holm"] < 0.05]
    if apart:
        differ = "differs" if len(apart) == 1 else "differ"
        said.append(
            f"{joined(apart)} {differ} from {own}, the study’s own strategy, beyond the chance of these patients."
        )
    elif rows:
        said.append(f"None differs from {own}, the study’s own strategy, beyond the chance of these patients.")
    return said


def _scores(reached: dict[str, Any], metric: str) -> Markup | None:
    """Own and unseen patients as two rows, one mark a strategy; None when nothing was scored."""
    rows: Rows = []
    for place in PLACES:
        marks = [Mark(look(name), _value(part, place, metric)) for name, part in reached.items()]
        marks = [mark for mark in marks if mark.value.get("value") is not None]
        rows += [(place_name(place), marks)] if marks else []
    return many_marks(f"strategies-{metric}", f"{metric_name(metric)} by strategy", rows) if rows else None


def _learning(losses: dict[str, list[float]]) -> Markup | None:
    """The loss of each round, one line a strategy; None when no loss was recorded."""
    if not losses:
        return None
    legend = 20 * -(-len(losses) // COLUMNS)
    with quiet():
        figure, axes = canvas(WIDTH, 220 + legend, left=52, top=8 + legend, bottom=48)
        for place, (name, line) in enumerate(losses.items()):
            style = STYLES[place % len(STYLES)]
            axes.plot(range(1, len(line) + 1), line, color=look(name).colour, linestyle=style, label=look(name).name)
        axes.grid(axis="y", color=RULE, linewidth=0.8)
        axes.set_ylim(0, None)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("Round")
        axes.set_ylabel("Loss")
        legend_above(axes, COLUMNS)
        ends = "; ".join(f"{look(name).name} {line[-1]:.3f}" for name, line in losses.items())
        return to_svg(figure, "strategies-learning", f"Training loss of the last round: {ends}.")


def _table(metrics: dict[str, Any], found: dict[str, Any]) -> Table:
    """One row a strategy: scores on own and unseen patients, message, seconds, options; last the hospital alone."""
    notes, names, rows = Footnotes(), main_metrics(metrics), []
    seconds = dict((metrics.get("timing") or {}).get("arms") or {})
    seconds[found["reference"]] = seconds.get("federated")
    for name, part in found["reached"].items():
        cells = [notes.cell(_value(part, place, metric)) for place in PLACES for metric in names]
        options = ", ".join(f"{key} {value:g}" for key, value in part["options"].items() if key != UNUSED)
        cells += [Cell(f"{part['message']:,}"), Cell(number(seconds.get(name), 1)), Cell(options or "none")]
        rows.append((look(name).name, look(name).colour, cells))
    alone = (metrics.get("baselines") or {}).get(ALONE)
    if alone:
        cells = [notes.cell(_value(alone, place, metric)) for place in PLACES for metric in names]
        rows.append((baseline_name(ALONE), FLOOR.colour, [*cells, Cell(""), Cell(""), Cell("")]))
    head = [metric_name(metric) for _ in PLACES for metric in names]
    groups = [(place_name(place), len(names)) for place in PLACES]
    return Table([*head, "Numbers a message", "Seconds", "Options"], rows, notes.lines, [*groups, ("", 3)])


def _value(part: dict[str, Any], place: str, metric: str) -> dict[str, Any]:
    return (part.get(place) or {}).get(metric) or {}
