"""A comparison on the terminal: the scores, then the differences."""

from dataclasses import replace

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from simulations.comparison.comparison import Comparison
from simulations.report.tables import Table

__all__ = ["print_comparison"]

WIDEST = 40  # characters of a setting; the files beside the page have all


def print_comparison(comparison: Comparison, console: Console) -> None:
    """What each run is called, the settings that differ, scores, differences and sentences."""
    short = comparison.lettered
    for run, whole in zip(short.runs, comparison.runs, strict=True):
        console.print(f"{run.name}: {whole.folder}", soft_wrap=True, markup=False, highlight=False)
    console.print()
    for title, table in (
        ("Settings that differ", _shortened(short.settings)),
        ("Scores", short.scores),
        ("Differences", short.differences),
    ):
        if table.rows:
            console.print(_rich(title, table))
            console.print()
    for sentence in short.sentences:
        console.print(sentence, markup=False, highlight=False)


def _shortened(table: Table) -> Table:
    rows = [
        (name, colour, [replace(cell, text=_short(cell.text)) for cell in cells]) for name, colour, cells in table.rows
    ]
    return replace(table, rows=rows)


def _short(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _rich(title: str, table: Table) -> RichTable:
    shown = RichTable(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    shown.add_column("", overflow="fold")
    groups = [name for name, columns in table.groups for _ in range(columns)] or [""] * len(table.head)
    for group, name in zip(groups, table.head, strict=True):
        shown.add_column(escape(f"{group}\n{name}" if group else name), justify="right", overflow="fold")
    for name, _, cells in table.rows:
        shown.add_row(
            escape(name),
            *(escape(c.text) + (f" [dim]{escape(c.spread)}[/dim]" if c.spread else "") for c in cells),
        )
    return shown
