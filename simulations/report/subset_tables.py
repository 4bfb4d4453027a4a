"""What the federated model does with every subset of its modalities, on all patients and hospital by hospital."""

from dataclasses import replace
from typing import Any

from shared.metrics import LOWER_IS_BETTER
from simulations.report.tables import Cell, Footnotes, Table
from simulations.report.words import main_metrics, metric_name, number, place_name

__all__ = ["subset_name", "subset_sites", "subset_table"]

SITES_AT_MOST = 24
ARM = "federated"


def subset_name(subset: str) -> str:
    """`slides+blood` as a reader writes it."""
    return subset.replace("+", " + ").capitalize()


def subset_table(metrics: dict[str, Any]) -> Table:
    """One row a subset, largest last; for own and unseen patients who was scored, and each main metric."""
    notes, subsets = Footnotes(), _subsets(metrics)
    names = main_metrics(metrics)
    places = [place for place in ("own", "unseen") if any(part.get(place) for part in subsets.values())]
    rows = []
    for subset, part in subsets.items():
        cells = []
        for place in places:
            found = part.get(place) or {}
            cells += [Cell(str((found.get(names[0]) or {}).get("n", "")))]
            cells += [notes.cell(found.get(name)) for name in names]
        rows.append((subset_name(subset), "", cells))
    head = [title for _ in places for title in ("Patients", *map(metric_name, names))]
    return Table(head, rows, notes.lines, [(place_name(place), 1 + len(names)) for place in places])


def subset_sites(metrics: dict[str, Any]) -> Table:
    """One row a subset, one column a hospital: the first main metric, darker where better; at most 24 hospitals."""
    notes, subsets, metric = Footnotes(), _subsets(metrics), main_metrics(metrics)[0]
    sites = sorted({site for part in subsets.values() for site in part.get("sites") or {}})[:SITES_AT_MOST]
    found = {
        (subset, site): (part["sites"].get(site) or {}).get(metric) or {}
        for subset, part in subsets.items()
        for site in sites
    }
    values = [value["value"] for value in found.values() if value.get("value") is not None]
    rows = []
    for subset in subsets:
        cells = [_shaded(notes, found[subset, site], values, metric) for site in sites]
        rows.append((subset_name(subset), "", cells))
    return Table(sites, rows if values else [], notes.lines, [(metric_name(metric), len(sites))])


def _subsets(metrics: dict[str, Any]) -> dict[str, Any]:
    return (metrics.get("arms", {}).get(ARM) or {}).get("subsets") or {}


def _shaded(notes: Footnotes, value: dict[str, Any], values: list[float], metric: str) -> Cell:
    """The figure alone, its interval on hovering; the shade runs from the worst to the best of the table."""
    cell = notes.cell(value)
    if value.get("value") is None:
        return cell
    low, high = min(values), max(values)
    place = (value["value"] - low) / (high - low) if high > low else 0.5
    shade = 1 - place if metric in LOWER_IS_BETTER else place
    title = ", ".join(filter(None, (cell.spread and f"95 % {cell.spread}", cell.title)))
    return replace(cell, text=number(value["value"], 2), spread="", title=title, shade=round(shade, 3))
