"""Runs as rows of figures: what every arm reaches in each, and how each differs from the first."""

from collections.abc import Sequence

from markupsafe import Markup

from simulations.comparison.differences import PLACES, RunDifference
from simulations.comparison.runs import Run
from simulations.report.row_figures import Mark, Rows, many_marks, one_mark, span_of
from simulations.report.words import FLOOR, Look, baseline_name, look, main_metrics, metric_name, number, place_name

__all__ = ["difference_figures", "run_figures"]

ALONE = Look(baseline_name("site_alone"), FLOOR.colour, FLOOR.marker)
Figures = list[tuple[str, Markup]]


def run_figures(runs: Sequence[Run]) -> Figures:
    """A title and a picture for each main metric and group of patients: one row a run, one mark an arm."""
    figures: Figures = []
    for metric in main_metrics(dict(runs[0].metrics)):
        for place in PLACES:
            rows: Rows = []
            for run in runs:
                alone = (run.metrics.get("baselines") or {}).get("site_alone") or {}
                scores = [*((look(arm), found) for arm, found in run.metrics["arms"].items()), (ALONE, alone)]
                marks = [
                    Mark(style, (found.get(place) or {}).get(metric) or {}, style is not ALONE)
                    for style, found in scores
                ]
                rows.append((run.name, [mark for mark in marks if mark.value.get("value") is not None]))
            title = f"{metric_name(metric)}, {place_name(place).lower()}"
            if any(marks for _, marks in rows):
                figures.append((title, many_marks(f"runs-{metric}-{place}", title, rows)))
    return figures


def difference_figures(found: Sequence[RunDifference]) -> Figures:
    """A title and a picture for each metric and group of patients, around a line at 0."""
    figures: Figures = []
    for metric, where in dict.fromkeys((row.metric, row.where) for row in found):
        rows: Rows = []
        for row in found:
            if (row.metric, row.where) == (metric, where):
                unpaired = "" if row.paired else ", unpaired"
                label = f"{row.run} − {row.reference}\n{look(row.arm).name.lower()}{unpaired}"
                value = {"value": row.difference, "low": row.low, "high": row.high}
                rows.append((label, [Mark(look(row.arm), value, filled=row.paired)]))
        title = f"{metric_name(metric)}, {place_name(where).lower()}"
        listed = "; ".join(f"{label} {number(mark.value['value'])}" for label, (mark,) in rows).replace("\n", ", ")
        span = span_of([Mark(FLOOR, {"value": 0.0}), *(mark for _, (mark,) in rows)])
        figures.append((title, one_mark(f"runs-diff-{metric}-{where}", f"{title}: {listed}.", rows, span, line=0.0)))
    return figures
