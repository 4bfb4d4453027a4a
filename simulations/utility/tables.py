"""A utility curve as Markdown for people and as CSV for machines."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from simulations.report.words import metric_name, number, own_words, spread

__all__ = ["arm_name", "curve_csv", "curve_markdown", "summary_line"]

NAMES = {
    "local": "Each hospital alone, no privacy",
    "federated": "Federated, no privacy",
    "pooled": "Pooled, no privacy",
}
SAME = ("arm", "epsilon", "epsilon_replace_one", "delta", "sigma", "parameters", "strength", "verdict")
COLUMNS = (*SAME, "place", "metric", "value", "low", "high", "sd", "n")


def arm_name(arm: str) -> str:
    """An arm as a reader knows it."""
    return NAMES.get(arm, f"Federated, {arm}")


def curve_markdown(content: dict[str, Any]) -> str:
    """One table: an arm a line."""
    main, calibration = content["metric"], content["calibration"]
    header = ["", "epsilon, exchanged", "sigma", "parameters", f"{metric_name(main)} [95 %]", "SD", "difference [95 %]"]
    header += ["worst hospital [95 %]", *(metric_name(name) for name in calibration)]
    header += ["above chance", "strength", "the planner said"]
    lines = [
        f"# What privacy costs: `{content['studies']['private']['name']}` against "
        f"`{content['studies']['plain']['name']}`",
        "",
        f"Cohort `{content['cohort']['name']}`, seeds: {content['repeats']}, from {content['seed']}; "
        f"{metric_name(main)}: {own_words(main)}. Differences are to federated training without privacy.",
        "",
        "| " + " | ".join(header) + " |",
        "|" + " --- |" * len(header),
    ]
    lines += ["| " + " | ".join(_cells(row, main, calibration)) + " |" for row in content["rows"]]
    rising = "falls, or stays within its intervals, as the noise grows"
    lines += ["", f"The curve {rising if content['findings']['monotone'] else 'is NOT monotone within its intervals'}."]
    return "\n".join([*lines, "", *(f"- {note}" for note in content["notes"]), "", f"`{content['command']}`", ""])


def _cells(row: dict[str, Any], main: str, calibration: list[str]) -> list[str]:
    privacy, worst = row["privacy"], row["worst_site"]
    return [
        arm_name(row["arm"]),
        number(privacy and privacy["epsilon_replace_one"], 1),
        number(privacy and privacy["sigma"], 2),
        f"{row['architecture']}, {row['parameters']:,}",
        _value(row["values"][main]),
        number(row["values"][main]["sd"]),
        _change(row["difference"]),
        f"{worst['site']}: {_value(worst)}" if worst else number(None),
        *(number(row["together"][name]["value"]) for name in calibration),
        "yes" if row["learnt"] else "**no**",
        number(privacy and privacy["strength"], 2),
        privacy["verdict"] if privacy else number(None),
    ]


def _value(value: dict[str, Any]) -> str:
    return f"{number(value['value'])} [{spread(value)}]" if value["value"] is not None else number(None)


def _change(change: dict[str, Any] | None) -> str:
    if change is None:
        return number(None)
    return f"{'+' if change['difference'] > 0 else ''}{number(change['difference'])} [{spread(change)}]"


def summary_line(row: dict[str, Any], metric: str) -> str:
    """An arm's result on a terminal."""
    said = "" if row["learnt"] else "  no better than chance"
    return f"{arm_name(row['arm']):34}{metric_name(metric)} {_value(row['values'][metric])}{said}"


def curve_csv(content: dict[str, Any]) -> str:
    """One line an arm, place and metric."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in content["rows"]:
        same = {"arm": row["arm"], "parameters": row["parameters"], **(row["privacy"] or {})}
        writer.writerows(same | line for line in _lines(row, content["metric"]))
    return buffer.getvalue()


def _lines(row: dict[str, Any], main: str) -> Iterator[dict[str, Any]]:
    for name, value in row["values"].items():
        yield {"place": "own_site_mean", "metric": name, **value}
    for name, value in row["together"].items():
        yield {"place": "together", "metric": name, **value}
    if row["worst_site"]:
        yield {"place": f"site {row['worst_site']['site']}", "metric": main, **row["worst_site"]}
