"""The stain-shift experiment as Markdown for people and as CSV for machines."""

import csv
import io
from typing import Any

from simulations.report.words import number, spread

__all__ = ["setting_name", "stain_csv", "stain_markdown"]

NAMES = {
    "none": "Slides as they are",
    "reinhard": "Reinhard",
    "macenko": "Macenko",
    "none + site_scale": "Features scaled in the hospital",
    "none + combat": "Features by ComBat",
}
COLUMNS = ("setting", "what", "value", "low", "high", "sd", "cohort", "cohort_value")
PARTS = ("signature", "own", "unseen", "gap")


def setting_name(name: str) -> str:
    """A setting as a reader knows it."""
    return NAMES.get(name, name)


def stain_markdown(content: dict[str, Any]) -> str:
    """One table: a setting a line."""
    header = [
        "",
        "signature AUC, same grade [95 %]",
        "hospitals at random",
        "own AUC [95 %]",
        "unseen AUC [95 %]",
    ]
    header += ["gap [95 %]", "change of the gap [95 %]", "change of unseen [95 %]"]
    size = f"{content['hospitals']} hospitals of {content['patients']} patients"
    lines = [
        "# Stain shift: does the model know the hospital?",
        "",
        f"Synthetic slides, {size}, stains {content['spread']:g} times as different as in the default cohort, "
        f"scanners {'as different as there' if content['scanner'] else 'alike'}; cohorts "
        f"of seed {', '.join(map(str, content['seeds']))}. Half of the hospitals train, the other half is unseen, then "
        "the other way round. Each hospital has mostly one grade. The signature is how well mean slide features name "
        "the hospital among patients of one grade (.5 = not at all).",
        "",
        "| " + " | ".join(header) + " |",
        "|" + " --- |" * len(header),
    ]
    for row in content["rows"]:
        change = row["change"] or {}
        cells = [setting_name(row["setting"]), _cell(row["signature"]), number(row["null"])]
        cells += [_cell(row[part]) for part in ("own", "unseen", "gap")]
        cells += [_cell(change[part]) if part in change else "" for part in ("gap", "unseen")]
        lines.append("| " + " | ".join(cells) + " |")
    notes = [
        "Own and unseen are the same patients, held out in three folds: scored by the half of the hospitals that "
        "theirs trains in, and by the other half. Gap: own less unseen. Intervals of scores are 95 % of a bootstrap "
        "over patients, paired; changes are against slides as they are.",
        "A correction of features is fitted on patients that are not measured, at unseen hospitals on their features "
        "without labels. It leaves its own error, which names a hospital too: the third column is what it leaves when "
        "patients are given to hospitals at random.",
        "Every patient was generated; no figure here says anything about medicine.",
    ]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes), "", f"`{content['command']}`", ""])


def _cell(value: dict[str, Any]) -> str:
    return f"{number(value['value'])} [{spread(value)}]" if spread(value) else number(value["value"])


def stain_csv(content: dict[str, Any]) -> str:
    """A line for every setting, quantity and cohort; the line without a cohort is the mean."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in content["rows"]:
        for part in PARTS:
            value = row[part]
            writer.writerow([row["setting"], part, value["value"], value["low"], value["high"], value["sd"], "", ""])
            for seed, one in zip(content["seeds"], value["cohorts"], strict=True):
                writer.writerow([row["setting"], part, "", "", "", "", seed, one])
    return text.getvalue()
