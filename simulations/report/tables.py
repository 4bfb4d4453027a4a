"""Tables of the report as rows of cells; a null is an en dash that carries its reason."""

from dataclasses import dataclass, field
from typing import Any

from simulations.report.sentences import hospitals, left_out_in_turn
from simulations.report.words import (
    DASH,
    at_hospitals,
    baseline_name,
    look,
    metric_name,
    minus,
    number,
    own_together,
    place_name,
    spread,
)

__all__ = ["Cell", "Footnotes", "Table", "comparison_table", "head_tables", "metric_table", "site_rows", "site_table"]

SITES_AT_MOST = 60
P_VALUES = {"p": "p", "p_holm": "p (Holm)"}


@dataclass(frozen=True)
class Cell:
    """What a cell shows: the figure, its interval beneath, a footnote letter, more on hovering."""

    text: str
    spread: str = ""
    mark: str = ""
    title: str = ""
    shade: float | None = None  # 0 to 1, how dark the cell is; None = not shaded


@dataclass
class Footnotes:
    """Reasons of a table's nulls, each with a letter."""

    reasons: list[str] = field(default_factory=list)

    def mark(self, reason: str) -> str:
        """The letter of `reason`, the same for equal reasons."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        place = self.reasons.index(reason)
        return chr(ord("a") + place) if place < 26 else str(place + 1)

    @property
    def lines(self) -> list[tuple[str, str]]:
        """(letter, reason) in order."""
        return [(self.mark(reason), reason) for reason in self.reasons]

    def cell(self, value: dict[str, Any] | None) -> Cell:
        """A V as a cell; None is a score that was not asked for."""
        if not value:
            return Cell(DASH, mark=self.mark("not measured"), title="not measured")
        if value.get("value") is None:
            reason = str(value.get("reason") or "no reason recorded")
            return Cell(DASH, mark=self.mark(reason), title=reason)
        facts = [f"n {value['n']}"] if value.get("n") is not None else []
        facts += [f"{value['events']} events"] if value.get("events") is not None else []
        facts += [f"{value['sites']} hospitals"] if value.get("sites") is not None else []
        facts += [f"SD over repeats {number(value['sd'])}"] if value.get("sd") is not None else []
        facts += ["from merged statistics"] if value.get("from") == "statistics" else []
        return Cell(number(value["value"]), spread(value), title=", ".join(facts))


@dataclass(frozen=True)
class Table:
    """A table with a heading a column, a look a row, and the reasons of its nulls."""

    head: list[str]
    rows: list[tuple[str, str, list[Cell]]]  # name, colour or "", cells
    notes: list[tuple[str, str]]
    groups: list[tuple[str, int]] = field(default_factory=list)  # headings above: name, columns under it


def metric_table(metrics: dict[str, Any], place: str, names: list[str]) -> Table:
    """One row a metric, one column an arm or floor that was scored at `place`."""
    notes = Footnotes()
    columns = [
        (look(arm).name, own_together(arm, scores) if place == "own" else scores[place])
        for arm, scores in metrics.get("arms", {}).items()
        if scores.get(place)
    ]
    for name, scores in metrics.get("baselines", {}).items():
        if scores.get(place):
            columns.append((baseline_name(name), scores[place]))
    rows = [
        (_of_hospitals(metrics, place, name), "", [notes.cell(values.get(name)) for _, values in columns])
        for name in names
        if any(name in values for _, values in columns)
    ]
    return Table([name for name, _ in columns], rows, notes.lines)


def _of_hospitals(metrics: dict[str, Any], place: str, metric: str) -> str:
    few = at_hospitals(metrics, metric) if place == "own_site_mean" else ""
    return metric_name(metric) + (f", {few}" if few else "")


def head_tables(metrics: dict[str, Any], names: list[str]) -> list[tuple[str, Table]]:
    """A title and a table for each further head and group of patients: one row a metric, one column an arm."""
    arms = {arm: scores["heads"] for arm, scores in metrics.get("arms", {}).items() if scores.get("heads")}
    heads = list(dict.fromkeys(head for found in arms.values() for head in found))
    tables = [
        (f"{head}: {place_name(place).lower()}", metric_table({"arms": parts}, place, names))
        for head in heads
        for parts in [{arm: found[head] for arm, found in arms.items() if head in found}]
        for place in ("own", "unseen")
    ]
    return [(title, table) for title, table in tables if table.rows]


def site_table(metrics: dict[str, Any], names: tuple[str, ...]) -> Table:
    """One row a hospital, one column an arm and main metric; the first 60 hospitals.

    Own test patients; where hospitals are left out of training in turn, each as it was scored when it was unseen.
    """
    notes = Footnotes()
    key = "unseen_sites" if left_out_in_turn(metrics) else "sites"
    arms = {arm: scores[key] for arm, scores in metrics.get("arms", {}).items() if scores.get(key)}
    sites = sorted({site for found in arms.values() for site in found})[:SITES_AT_MOST]
    head = [look(arm).name for _ in names for arm in arms]
    rows = [
        (site, "", [notes.cell((found.get(site) or {}).get(name)) for name in names for found in arms.values()])
        for site in sites
    ]
    return Table(head, rows, notes.lines, [(metric_name(name), len(arms)) for name in names if arms])


def comparison_table(metrics: dict[str, Any]) -> Table:
    """One row a comparison between two arms, with p-values where the run has them."""
    notes, rows = Footnotes(), []
    comparisons = metrics.get("comparisons", [])
    tested = {key: head for key, head in P_VALUES.items() if any(row.get(key) is not None for row in comparisons)}
    for found in comparisons:
        value = {**found, "value": found.get("difference"), "n": found.get("n")}
        where = place_name(found["where"], found["metric"])
        cells = [Cell(where), Cell(metric_name(found["metric"])), notes.cell(value)]
        cells += [Cell(_probability(found.get(key))) for key in tested]
        rows.append((minus(found["a"], found["b"]), look(found["a"]).colour, cells))
    head = ["Measured on", "Metric", "Difference (95 % interval)", *tested.values()]
    return Table(head, rows, notes.lines)


def _probability(p: float | None) -> str:
    """A p-value to three digits; smaller ones are only bounded, since draws cannot tell them apart."""
    return DASH if p is None else "< .001" if p < 0.001 else f"{p:.3f}"


def site_rows(metrics: dict[str, Any], ordered: list[str]) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    """Classes, modalities, and one row a hospital of the cohort, the unseen hospitals together last.

    Classes come in the study's order where it gives one, else sorted.
    """
    cohort = metrics.get("cohort", {})
    sites = dict(cohort.get("sites") or {})
    unseen = cohort.get("unseen") or {}
    groups = [*sites.values(), unseen]
    named = {str(name) for group in groups for name in group.get("classes") or {}}
    classes = [name for name in ordered if name in named] + sorted(named - set(ordered))
    modalities = list(dict.fromkeys(name for group in groups for name in group.get("modalities") or {}))
    rows = [_site(name, found, classes, modalities) for name, found in sites.items()]
    if unseen.get("patients") and not left_out_in_turn(metrics):
        label = f"Unseen ({hospitals(unseen.get('sites'))})"
        rows.append({**_site(label, unseen, classes, modalities), "unseen": True})
    return classes, modalities, rows


def _site(name: str, found: dict[str, Any], classes: list[str], modalities: list[str]) -> dict[str, Any]:
    mix = found.get("classes") or {}
    total = sum(mix.values())
    held = found.get("modalities") or {}
    return {
        "name": name,
        "hospital": found.get("hospital") or "",
        "unseen": False,
        "patients": found.get("patients", DASH),
        "train": found.get("train", DASH),
        "test": found.get("test", DASH),
        "events": found.get("events"),
        "mix": [(label, mix.get(label, 0), 100 * mix.get(label, 0) / total) for label in classes] if total else [],
        "modalities": [held.get(label) for label in modalities],
    }
