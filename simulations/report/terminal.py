"""The results on a terminal: one table a main metric, and the comparisons."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared.privacy.report.sentences import rounded_up
from simulations.report.sentences import headline
from simulations.report.strategy_section import strategy_sentences
from simulations.report.words import (
    DASH,
    PLACES,
    at_hospitals,
    baseline_name,
    look,
    main_metrics,
    metric_name,
    minus,
    number,
    own_together,
    place_name,
    spread,
)

__all__ = ["print_summary", "privacy_lines"]


def print_summary(metrics: dict[str, Any], console: Console) -> None:
    """Arms and floors by own and unseen patients for the main metrics, then comparisons, key result, strategies."""
    for metric in main_metrics(metrics):
        console.print(_scores(metrics, metric))
    if metrics.get("comparisons"):
        console.print(_comparisons(metrics))
    title, text = headline(metrics)
    console.print(f"[bold]{escape(title)}.[/bold] {escape(text)}")
    if metrics.get("strategies"):
        console.print("[bold]Strategies.[/bold]", escape(" ".join(strategy_sentences(metrics))))


def privacy_lines(metrics: dict[str, Any]) -> Iterator[str]:
    """What the federated arm cost each hospital; nothing without differential privacy."""
    for site, told in metrics.get("privacy", {}).items():
        if told["mode"] == "local":
            spent, exchanged = rounded_up(told["epsilon"]), rounded_up(told["epsilon_replace_one"])
            yield (
                f"Privacy at {site}: epsilon {spent} at delta {told['delta']:g}, a patient there or not; "
                f"{exchanged} if one is exchanged; {told['charges']} rounds charged"
            )
        elif told["mode"] == "test":
            yield f"Privacy at {site}: NOT PRIVATE, the noise came from a known seed"


def _scores(metrics: dict[str, Any], metric: str) -> Table:
    table = Table(title=metric_name(metric), title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("")
    for place in PLACES:
        table.add_column(place_name(place), justify="right")
    reasons: list[str] = []
    for arm, scores in metrics.get("arms", {}).items():
        scores = {**scores, "own": own_together(arm, scores)}
        table.add_row(f"[bold]{escape(look(arm).name)}[/bold]", *_cells(scores, metric, reasons))
    found = metrics.get("strategies") or {}
    for name, scores in found.get("reached", {}).items():
        if name != found["reference"]:  # which is the federated arm's
            table.add_row(escape(f"Federated by {look(name).name}"), *_cells(scores, metric, reasons))
    for name, scores in metrics.get("baselines", {}).items():
        table.add_row(escape(baseline_name(name)), *_cells(scores, metric, reasons), style="dim")
    few = at_hospitals(metrics, metric)
    if reasons or few:
        what = "Pairs of patients" if metric == "c_index_within_site" else "Mean of sites"
        lines = [f"{what}: at {few}."] if few else []
        lines += [f"{DASH} " + "; ".join(reasons)] if reasons else []
        table.caption = escape("\n".join(lines))
        table.caption_justify = "left"
    return table


def _cells(scores: dict[str, Any], metric: str, reasons: list[str]) -> list[str]:
    cells = []
    for place in PLACES:
        value = (scores.get(place) or {}).get(metric) or {}
        if value.get("value") is None:
            reason = value.get("reason")
            if reason and reason not in reasons:
                reasons.append(reason)
            cells.append(DASH)
            continue
        interval = spread(value, 2)
        cells.append(f"{number(value['value'])} [dim]{interval}[/dim]" if interval else number(value["value"]))
    return cells


def _comparisons(metrics: dict[str, Any]) -> Table:
    table = Table(title="Differences between arms", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in ("", "Measured on", "Metric"):
        table.add_column(name)
    table.add_column("Difference", justify="right")
    table.add_column("95 % interval", justify="right")
    for found in metrics["comparisons"]:
        name = minus(found["a"], found["b"])
        where = place_name(found["where"], found["metric"])
        cells = (where, metric_name(found["metric"]), number(found.get("difference")))
        table.add_row(escape(name), *map(escape, cells), spread(found) or DASH)
    return table
