"""Dose-response curves as Markdown for people and as CSV for machines."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from simulations.report.words import metric_name, number, spread

__all__ = ["PLACES", "cells", "remark", "stress_csv", "stress_markdown", "stress_rows", "summary_line"]

PLACES = {"own_site_mean": "own", "unseen": "unseen"}
COLUMNS = ("curve", "line", "dose", "place", "metric", "value", "low", "high", "sd", "n", "failed")


def stress_markdown(content: dict[str, Any]) -> str:
    """One table a curve: a line and dose a row."""
    metric = metric_name(content["metric"])
    lines = [
        f"# Stress: `{content['study']['name']}` on `{content['cohort']['name']}`",
        "",
        f"{metric}, {content['rounds']} rounds, seeds: {content['seeds']}.",
    ]
    for curve in content["curves"]:
        header = ["line", "dose", *(f"{metric}, {name} [95 %]" for name in PLACES.values())]
        header += [f"change, {name} [95 %]" for name in PLACES.values()] + ["remarks"]
        lines += ["", f"## {curve['title']}", "", f"{curve['says']} Dose: {curve['axis']}.", ""]
        lines += ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
        lines += ["| " + " | ".join(cells(curve, row, content["metric"])) + " |" for row in curve["rows"]]
    return "\n".join([*lines, "", *(f"- {note}" for note in content["notes"]), "", f"`{content['command']}`", ""])


def cells(curve: dict[str, Any], row: dict[str, Any], metric: str) -> list[str]:
    """One row as words: line, dose, own, unseen, their change from dose 0, remarks."""
    words = next(line["words"] for line in curve["lines"] if line["name"] == row["line"])
    values = [_value(row["values"].get(where, {}).get(metric)) for where in PLACES]
    changes = [_change(row["change"].get(where)) for where in PLACES]
    return [words, f"{row['dose']:g}", *values, *changes, remark(row)]


def remark(row: dict[str, Any]) -> str:
    """What `prepare` left out, whose answers were missing, and how well slides name the hospital."""
    # a sentence of the coordinator goes on with every site's reason
    reasons = dict.fromkeys(reason.split(" (")[0] for reason in row["failed"].split("\n")) if row["failed"] else {}
    said = [f"{_untrained(row)}: {'; '.join(reasons)}"] if reasons else []
    for part in row["prepare"]:
        said.append(f"left out by prepare at {', '.join(part['hospitals'])}: {part['inputs']} x {part['reason']}")
    said += [f"{count} answers not used: {reason}" for reason, count in row["missing"].items()]
    if row["signature"] is not None:
        said.append(f"slide features name the hospital with AUC {number(row['signature'])}")
    return "; ".join(said).replace("|", "/").replace("\n", " ")


def _untrained(row: dict[str, Any]) -> str:
    """That there is no model, and at how many seeds where there are several."""
    seeds = len(row["training"])
    return "not trained" if seeds == 1 else f"not trained at {row['failed_seeds']} of {seeds} seeds"


def _value(value: dict[str, Any] | None) -> str:
    if value is None or value["value"] is None:
        return number(None)
    over_seeds = "" if value["sd"] is None else f", sd {number(value['sd'])}"
    return f"{number(value['value'])} [{spread(value)}]{over_seeds}"


def _change(change: dict[str, Any] | None) -> str:
    if change is None:
        return number(None)
    return f"{'+' if change['difference'] > 0 else ''}{number(change['difference'])} [{spread(change)}]"


def summary_line(curve: dict[str, Any], row: dict[str, Any], metric: str) -> str:
    """A row on a terminal."""
    words, dose, own, unseen, *_ = cells(curve, row, metric)
    told = _untrained(row) if row["failed"] else f"own {own}  unseen {unseen}"
    left_out = "  prepare left some out" if row["prepare"] else ""
    return f"{curve['name']:15}{words:36}{dose:>6}  {told}{left_out}"


def stress_csv(content: dict[str, Any]) -> str:
    """One line a curve, line, dose, place and metric."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(stress_rows(content))
    return buffer.getvalue()


def stress_rows(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The same as rows."""
    return [line for curve in content["curves"] for row in curve["rows"] for line in _lines(curve["name"], row)]


def _lines(curve: str, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    same = {"curve": curve, "line": row["line"], "dose": f"{row['dose']:g}"}
    if row["failed"]:
        yield {**same, "failed": row["failed"]}
    for where, values in row["values"].items():
        for name, value in values.items():
            yield {**value, **same, "place": where, "metric": name}
    if row["signature"] is not None:
        yield {**same, "place": "slides", "metric": "signature_auc", "value": row["signature"]}
