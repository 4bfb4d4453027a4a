"""Scores by sex and age group: one figure an attribute and a table; small groups are not shown."""

from typing import Any

from markupsafe import Markup

from simulations.report.row_figures import Mark, Rows, many_marks
from simulations.report.tables import Cell, Footnotes, Table
from simulations.report.words import look, main_metrics, metric_name

__all__ = ["fairness_figures", "fairness_table"]

NAMES = {"sex": "Sex", "age": "Age"}


def fairness_figures(metrics: dict[str, Any]) -> list[tuple[str, Markup]]:
    """A title and a picture for each attribute that `metrics["fairness"]` has; [] without it."""
    figures = []
    for attribute in _attributes(metrics):
        rows: dict[str, list[Mark]] = {}
        for arm, found in metrics["fairness"].items():
            for each in found.get(attribute) or []:
                if each.get("value") is not None:
                    rows.setdefault(_group(each), []).append(Mark(look(arm), each))
        if rows:
            shown: Rows = list(rows.items())
            title = f"{metric_name(main_metrics(metrics)[0])} by {NAMES.get(attribute, attribute).lower()}"
            figures.append((title, many_marks(f"fairness-{attribute}", title, shown)))
    return figures


def fairness_table(metrics: dict[str, Any]) -> Table:
    """One row a group, one column an arm; the reason stands under the table where a group is not shown."""
    notes, arms, rows = Footnotes(), metrics.get("fairness") or {}, []
    for attribute in _attributes(metrics):
        groups = list(dict.fromkeys(each["group"] for found in arms.values() for each in found.get(attribute) or []))
        for group in groups:
            values = [_of(found.get(attribute) or [], group) for found in arms.values()]
            n = max((value["n"] for value in values if value and value.get("n") is not None), default=None)
            hidden = any(value and value.get("value") is None for value in values)
            name = f"{NAMES.get(attribute, attribute)}: {group}"
            rows.append((name, "", [Cell("" if n is None or hidden else str(n)), *(notes.cell(v) for v in values)]))
    return Table(["Patients", *(look(arm).name for arm in arms)], rows, notes.lines)


def _attributes(metrics: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for found in (metrics.get("fairness") or {}).values() for name in found))


def _group(each: dict[str, Any]) -> str:
    return f"{each['group']} (n {each['n']})" if each.get("n") is not None else str(each["group"])


def _of(found: list[dict[str, Any]], group: str) -> dict[str, Any] | None:
    return next((each for each in found if each["group"] == group), None)
