"""`python simulations/compare.py runs/A runs/B`: what differs between finished runs, and what that is worth."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from shared.commands import run_command


def main(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; the others are held against the first.")],
    out: Annotated[
        Path | None,
        typer.Option(help="HTML file; .md, .csv and figures beside it. Default: runs/comparison-<time>.html."),
    ] = None,
) -> None:
    """Compare finished runs of one task: settings, scores with intervals, and differences paired by patient.

    Two runs are paired where the same patients were tested with the same folds and seeds; else it is said why not.

    Examples:
      python simulations/compare.py runs/fedavg runs/scaffold

      python simulations/compare.py runs/A runs/B runs/C --out comparison.html
    """
    from simulations.comparison.comparison import compare, write_comparison
    from simulations.comparison.terminal import print_comparison

    console = Console()
    comparison = compare(runs)
    target = out or Path("runs") / f"comparison-{datetime.now(UTC):%Y%m%d-%H%M%S}.html"
    page, *_ = write_comparison(comparison, target)
    print_comparison(comparison, console)
    console.print(f"Comparison: {page}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_command(app)
