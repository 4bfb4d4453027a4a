"""`python simulations/stain_shift.py`: what stain normalisation does to the site signature and to unseen hospitals."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from shared.commands import run_command
from shared.logs import configure_logs


def main(
    spread: Annotated[float, typer.Option(help="How different stains are; 1 = as in the default cohort.")] = 2.0,
    scanner: Annotated[bool, typer.Option("--scanner", help="Scanners differ too.")] = False,
    hospitals: Annotated[int, typer.Option(help="Half of them train, in turn; an even number.")] = 6,
    patients: Annotated[int, typer.Option(help="Of each hospital.")] = 24,
    seeds: Annotated[int, typer.Option(help="Cohorts.")] = 4,
    seed: Annotated[int, typer.Option(help="Of the first cohort; the design was chosen on seed 0.")] = 1,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override one study field: key=value.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; default: runs/stain-shift-<time>.")] = None,
    cache: Annotated[Path, typer.Option(help="Where cohorts and features are kept.")] = Path("cache"),
) -> None:
    """Draw hospitals that differ in stain and grades; compare no, Reinhard and Macenko normalisation, and corrections.

    Examples:
      python simulations/stain_shift.py

      python simulations/stain_shift.py --spread 1 --scanner --seeds 2
    """
    from simulations.progress import progress_bars
    from simulations.site_signature.stain_experiment import Options, stain_experiment
    from simulations.site_signature.stain_tables import stain_markdown

    console = Console()
    configure_logs(level=30)
    options = Options(
        spread=spread,
        scanner=scanner,
        hospitals=hospitals,
        patients=patients,
        seeds=seeds,
        seed=seed,
        changes=tuple(set_ or ()),
        out=out,
        cache=cache,
        command=shlex.join(["python", "simulations/stain_shift.py", *sys.argv[1:]]),
    )
    with progress_bars(console) as progress:
        folder, content = stain_experiment(options, progress)
    console.print(stain_markdown(content), markup=False, highlight=False, soft_wrap=True)
    console.print(f"Figure: {folder / 'stain-shift.png'}", soft_wrap=True)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_command(app)
