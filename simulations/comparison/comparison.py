"""Compare finished runs: read them, hold them against the first, and write HTML, Markdown, CSV and figures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader

from server.checkpoint import write_atomically
from shared.errors import BadInput
from simulations.comparison.differences import RunDifference, differences, others, why_unpaired
from simulations.comparison.figures import difference_figures, run_figures
from simulations.comparison.runs import Run, read_runs
from simulations.comparison.settings import differing_settings, same_facts
from simulations.comparison.tables import csv_rows, difference_table, facts_table, score_table, settings_table
from simulations.comparison.text import markdown_table
from simulations.report.exports import csv_text, figures_in, standalone
from simulations.report.tables import Table
from simulations.report.words import joined, main_metrics, metric_name

__all__ = ["Comparison", "compare", "write_comparison"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is known of the runs together; the first is the reference."""

    runs: list[Run]
    facts: Table
    settings: Table
    scores: Table
    differences: Table
    found: list[RunDifference]

    @property
    def sentences(self) -> list[str]:
        """What a reader must know before the figures."""
        reference, rest = self.runs[0], self.runs[1:]
        metrics = joined([metric_name(name) for name in main_metrics(dict(reference.metrics))])
        said = [f"{len(self.runs)} runs by {metrics}; differences are each run minus {reference.name}."]
        said += [
            f"Warning: {run.name} and {reference.name} differ in whom they test ({'; '.join(reasons)}): a difference "
            "between them need not be one of the models."
            for run in rest
            if (reasons := others(run, reference))
        ]
        paired = [run.name for run in rest if not why_unpaired(run, reference)]
        if paired:
            said.append(
                f"{joined(paired)}: the same test patients, folds and seeds as {reference.name}, so differences are "
                "paired by patient."
            )
        for run in rest:
            reason = why_unpaired(run, reference)
            if reason:
                said.append(
                    f"{run.name}: not paired with {reference.name} ({reason}); its intervals take the two runs as "
                    "independent, so they are wider than need be where the runs share patients."
                    if run.draws and reference.draws
                    else f"{run.name}: no interval against {reference.name} ({reason}); run it again to have one."
                )
        if self.found:
            said.append(f"{len(self.found)} differences stand here and none is corrected for multiplicity.")
        return said

    @property
    def lettered(self) -> "Comparison":
        """The same with the letters A, B ... for the names of the runs, where there are enough."""
        if len(self.runs) > len(ascii_uppercase):
            return self
        letters = dict(zip((run.name for run in self.runs), ascii_uppercase, strict=False))
        return _tabled(
            [replace(run, name=letters[run.name]) for run in self.runs],
            [replace(row, run=letters[row.run], reference=letters[row.reference]) for row in self.found],
        )


def compare(folders: Sequence[Path]) -> Comparison:
    """The runs in `folders`; BadInput where they cannot be compared."""
    runs = read_runs(folders)
    return _tabled(runs, differences(runs))


def _tabled(runs: list[Run], found: list[RunDifference]) -> Comparison:
    return Comparison(
        runs,
        facts_table(runs, same_facts(runs)),
        settings_table(runs, differing_settings(runs)),
        score_table(runs),
        difference_table(found),
        found,
    )


def write_comparison(comparison: Comparison, out: Path) -> list[Path]:
    """Write `out` (HTML) and beside it the same as .md, .csv and a folder of .svg; returns their paths.

    Raises
    ------
    BadInput
        `out` is a folder, or does not end with .html.
    """
    if out.is_dir() or out.suffix != ".html":
        got = "a folder" if out.is_dir() else repr(out.name)
        raise BadInput(f"--out: expected a file that ends with .html, got {got}; write e.g. comparison.html")
    pictures = out.with_name(f"{out.stem}-figures")
    pictures.mkdir(parents=True, exist_ok=True)
    context: dict[str, Any] = {
        "comparison": comparison,
        "reached": run_figures(comparison.runs),
        "apart": difference_figures(comparison.found),
    }
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("simulations.comparison", "."), PackageLoader("simulations.report", ".")],
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("comparison.html.j2").render(context)
    texts = {out: page, out.with_suffix(".md"): _markdown(comparison)}
    texts[out.with_suffix(".csv")] = csv_text(csv_rows(comparison.runs, comparison.found))
    for old in pictures.glob("*.svg"):
        old.unlink()
    for name, _, picture in figures_in(context):
        texts[pictures / f"{name}.svg"] = standalone(picture)
    for path, text in texts.items():
        write_atomically(path, text.encode())
    return list(texts)


def _markdown(comparison: Comparison) -> str:
    parts = ["# Comparison of runs", *comparison.sentences]
    for title, table in (
        ("Scores", comparison.scores),
        ("Differences", comparison.differences),
        ("The same in all runs?", comparison.facts),
        ("Settings that differ", comparison.settings),
    ):
        parts += [f"## {title}", markdown_table(table) if table.rows else "None."]
    return "\n\n".join(parts) + "\n"
