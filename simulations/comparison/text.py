"""A table as Markdown."""

from simulations.report.tables import Table

__all__ = ["markdown_table"]


def markdown_table(table: Table) -> str:
    """The table with its intervals, and the reasons of its nulls beneath."""
    groups = [name for name, columns in table.groups for _ in range(columns)]
    head = [f"{group}: {name}" for group, name in zip(groups, table.head, strict=True)] if groups else table.head
    lines = [["", *head], ["---"] * (1 + len(head))]
    for name, _, cells in table.rows:
        lines.append([name, *(f"{c.text} ({c.spread})" if c.spread else f"{c.text}{_mark(c.mark)}" for c in cells)])
    text = "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)
    notes = "; ".join(f"[{letter}] {reason}" for letter, reason in table.notes)
    return f"{text}\n\n{notes}" if notes else text


def _mark(letter: str) -> str:
    return f" [{letter}]" if letter else ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
