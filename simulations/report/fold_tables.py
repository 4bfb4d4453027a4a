"""Two small tables: which hospitals every fold leaves out, and intervals when whole hospitals are drawn."""

from typing import Any

from simulations.report.tables import Cell, Footnotes, Table
from simulations.report.words import look, main_metrics, metric_name, place_name

__all__ = ["fold_table", "hospital_draws_table"]

PLACES = ("own", "own_site_mean", "unseen")
NAMED_AT_MOST = 12


def fold_table(metrics: dict[str, Any]) -> Table:
    """One row a fold: the hospitals it leaves out of training, their patients, and their classes or deaths."""
    folds = (metrics.get("protocol") or {}).get("unseen") or []
    counted = list(dict.fromkeys(name for fold in folds for name in fold.get("classes") or {}))
    rows = [
        (
            f"Fold {number}",
            "",
            [
                Cell(_listed(fold["sites"])),
                Cell(str(fold["patients"])),
                *(Cell(str((fold.get("classes") or {}).get(name, 0))) for name in counted),
            ],
        )
        for number, fold in enumerate(folds, 1)
    ]
    return Table(["Hospitals left out", "Patients", *counted], rows, [])


def hospital_draws_table(metrics: dict[str, Any]) -> Table:
    """One row an arm: main metrics with the 95 % interval of draws of whole hospitals instead of patients."""
    notes, names = Footnotes(), main_metrics(metrics)
    arms = {arm: found for arm, found in (metrics.get("arms") or {}).items() if found.get("by_site")}
    places = [place for place in PLACES if any(place in found["by_site"] for found in arms.values())]
    rows = []
    for arm, found in arms.items():
        cells = []
        for place in places:
            for name in names:
                drawn, value = (found["by_site"].get(place) or {}).get(name), (found.get(place) or {}).get(name)
                cells.append(notes.cell({**value, **drawn} if value and drawn else value))
        rows.append((look(arm).name, look(arm).colour, cells))
    head = [metric_name(name) for _ in places for name in names]
    return Table(head, rows, notes.lines, [(place_name(place), len(names)) for place in places])


def _listed(sites: list[str]) -> str:
    more = len(sites) - NAMED_AT_MOST
    return ", ".join(sites[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")
