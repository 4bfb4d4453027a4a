"""Runs side by side as tables, which the page, the Markdown and the CSV share."""

from collections.abc import Sequence
from typing import Any

from simulations.comparison.differences import PLACES, RunDifference
from simulations.comparison.runs import Run
from simulations.report.tables import Cell, Footnotes, Table
from simulations.report.words import baseline_name, look, main_metrics, metric_name, place_name

__all__ = ["csv_rows", "difference_table", "facts_table", "score_table", "settings_table"]

FLOORS = ("site_alone",)


def score_table(runs: Sequence[Run]) -> Table:
    """One row a run and arm, and the hospital alone; the main metrics on own and unseen patients."""
    notes, rows, names = Footnotes(), [], main_metrics(dict(runs[0].metrics))
    for run in runs:
        for name, colour, scores in _scored(run):
            values = [(scores.get(place) or {}).get(metric) for place in PLACES for metric in names]
            rows.append((f"{run.name}: {name}", colour, [notes.cell(value) for value in values]))
    head = [metric_name(metric) for _ in PLACES for metric in names]
    return Table(head, rows, notes.lines, [(place_name(place), len(names)) for place in PLACES])


def difference_table(found: Sequence[RunDifference]) -> Table:
    """One row a difference, with whether it is on the same patients."""
    notes, rows = Footnotes(), []
    for row in found:
        value = {"value": row.difference, "low": row.low, "high": row.high}
        cells = [
            Cell(look(row.arm).name),
            Cell(place_name(row.where, row.metric)),
            Cell(metric_name(row.metric)),
            notes.cell(value),
        ]
        name = f"{row.run} − {row.reference}"
        rows.append((name, look(row.arm).colour, [*cells, Cell("paired" if row.paired else "unpaired")]))
    return Table(["Arm", "Measured on", "Metric", "Difference (95 % interval)", "Patients"], rows, notes.lines)


def facts_table(runs: Sequence[Run], facts: Sequence[tuple[str, list[str], bool]]) -> Table:
    """One row a fact, one column a run, and whether all runs share it."""
    rows = [
        (name, "", [*(Cell(value) for value in values), Cell("same" if same else "differs")])
        for name, values, same in facts
    ]
    return Table([*(run.name for run in runs), "In all runs"], rows, [])


def settings_table(runs: Sequence[Run], settings: Sequence[tuple[str, list[str]]]) -> Table:
    """One row a setting that differs, one column a run."""
    return Table([run.name for run in runs], [(name, "", [Cell(v) for v in values]) for name, values in settings], [])


def csv_rows(runs: Sequence[Run], found: Sequence[RunDifference]) -> list[dict[str, Any]]:
    """Every score and every difference as one row of plain numbers."""
    rows: list[dict[str, Any]] = []
    for run in runs:
        for key, arms in (("arm", run.metrics["arms"]), ("floor", run.metrics.get("baselines") or {})):
            for arm, scores in arms.items():
                for where in PLACES:
                    for metric, value in (scores.get(where) or {}).items():
                        told = {name: value.get(name) for name in ("value", "low", "high", "sd", "n", "events")}
                        rows.append({"row": key, "run": run.name, "arm": arm, "where": where, "metric": metric, **told})
    for row in found:
        rows.append(
            {
                "row": "difference",
                "run": row.run,
                "reference": row.reference,
                "arm": row.arm,
                "where": row.where,
                "metric": row.metric,
                "value": row.difference,
                "low": row.low,
                "high": row.high,
                "paired": row.paired,
            }
        )
    return rows


def _scored(run: Run) -> list[tuple[str, str, dict[str, Any]]]:
    """Name, colour and scores of every arm of a run and of the floors that stand beside it."""
    floors = run.metrics.get("baselines") or {}
    arms = [(look(arm).name, look(arm).colour, scores) for arm, scores in run.metrics["arms"].items()]
    return arms + [(baseline_name(name), "", floors[name]) for name in FLOORS if name in floors]
