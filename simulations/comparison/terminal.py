"""A comparison on the terminal: the scores, then the differences."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from simulations.comparison.comparison import Comparison
from simulations.report.tables import Table

__all__ = ["print_comparison"]


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Sentences, scores, differences and the settings that differ."""
    for title, table in (
        ("Settings that differ", comparison.settings),
        ("Scores", comparison.scores),
        ("Differences", comparison.differences),
    ):
        if table.rows:
            console.print(_rich(title, table))
            console.print()
    for sentence in comparison.sentences:
        console.print(sentence, markup=False, highlight=False)


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
