"""An ablation as Markdown for people and as CSV for machines."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from simulations.ablations.row import NOT_REPORTED
from simulations.report.words import baseline_name, metric_name, number, spread

__all__ = ["ablation_csv", "ablation_markdown"]

SAME = ("axis", "row", "reference", "parameters", "published", "not_run")
CHANGE = ("difference", "difference_low", "difference_high", "difference_n")
CSV_COLUMNS = (*SAME, "place", "metric", "mean", "sd", "low", "high", "n", *CHANGE)


def ablation_markdown(content: dict[str, Any]) -> str:
    """One table an axis and one of the floors: the main metric in full, the others as plain means."""
    main, *others = content["metrics"]
    header = ["", "Parameters", f"{metric_name(main)}, own [95 %]", "SD", "Difference [95 %]"]
    header += [f"{metric_name(main)}, unseen [95 %]", "Difference [95 %]", *(metric_name(name) for name in others)]
    lines = [f"# Ablation: {content['title']}", ""]
    lines += [
        f"Study `{content['study']['name']}` ({content['study']['task']}), cohort `{content['cohort']['name']}` of "
        f"{content['cohort']['patients']} patients, {content['arm']} training, seeds: {content['seeds']}. "
        "**Bold** = the study as it is, to which differences are taken. Plain columns are of own test patients.",
        "",
    ]
    for axis in dict.fromkeys(row["axis"] for row in content["rows"]):
        rows = [row for row in content["rows"] if row["axis"] == axis]
        lines += [f"## {axis[:1].upper()}{axis[1:]}", ""]
        lines += _table([*header, "Published"], [_cells(row, main, others) for row in rows])
        lines += ["", *(f"- {row['value']}: not run: {row['not_run']}" for row in rows if row["not_run"])]
        lines += [*(f"- {row['value']}: {note}" for row in rows for note in row["notes"]), ""]
    named = [floor | {"value": baseline_name(floor["value"])} for floor in content["floors"]]
    lines += ["## Floors", "", "Fitted on the pooled training patients of the same splits.", ""]
    lines += _table(header, [_cells(floor, main, others)[:-1] for floor in named])
    return "\n".join([*lines, "", *(f"- {note}" for note in content["notes"]), "", f"`{content['command']}`", ""])


def ablation_csv(content: dict[str, Any]) -> str:
    """One line a row, place and metric; a row that was not run has one line with the reason."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_csv_lines([*content["rows"], *content["floors"]]))
    return buffer.getvalue()


def _csv_lines(rows: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for row in rows:
        same = {"axis": row["axis"], "row": row["value"], "reference": int(row.get("reference", False))}
        same |= {"parameters": row.get("parameters"), "published": row.get("published", NOT_REPORTED)}
        same |= {"not_run": row.get("not_run", "")}
        if "values" not in row:
            yield same
        for place, values in row.get("values", {}).items():
            for metric, value in values.items():
                change = row["differences"].get(place, {}).get(metric, {})
                yield same | {
                    "place": place,
                    "metric": metric,
                    "mean": value["value"],
                    "sd": value["sd"],
                    "low": value["low"],
                    "high": value["high"],
                    "n": value["n"],
                    "difference": change.get("difference"),
                    "difference_low": change.get("low"),
                    "difference_high": change.get("high"),
                    "difference_n": change.get("n"),
                }


def _cells(row: dict[str, Any], main: str, others: Sequence[str]) -> list[str]:
    name = f"**{row['value']}**" if row.get("reference") else row["value"]
    published = row.get("published", NOT_REPORTED)
    if "values" not in row:
        return [name, "not run", *[""] * (5 + len(others)), published]
    own, unseen = (row["values"].get(place, {}) for place in ("own", "unseen"))
    parameters = f"{row['parameters']:,}" if "parameters" in row else number(None)
    cells = [
        name,
        parameters,
        _value(own.get(main)),
        number((own.get(main) or {}).get("sd")),
        _change(row, "own", main),
    ]
    cells += [_value(unseen.get(main)), _change(row, "unseen", main)]
    return [*cells, *(number((own.get(metric) or {}).get("value")) for metric in others), published]


def _value(value: dict[str, Any] | None) -> str:
    if value is None or value["value"] is None:
        return number(None)
    return f"{number(value['value'])} [{spread(value)}]"


def _change(row: dict[str, Any], place: str, metric: str) -> str:
    change = row["differences"].get(place, {}).get(metric)
    if change is None:
        return number(None)
    sign = "+" if change["difference"] > 0 else ""
    return f"{sign}{number(change['difference'])} [{spread(change)}]"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines]
