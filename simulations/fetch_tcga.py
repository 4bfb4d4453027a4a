"""`python simulations/fetch_tcga.py`: a cohort folder of TCGA projects from the Genomic Data Commons."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from shared.commands import run_command
from shared.errors import BadInput
from shared.logs import configure_logs


def main(
    more: Annotated[list[str] | None, typer.Argument(help="Further projects.", metavar="[PROJECT]...")] = None,
    project: Annotated[list[str] | None, typer.Option(help="Projects, such as TCGA-GBM TCGA-LGG.")] = None,
    out: Annotated[Path, typer.Option(help="The cohort folder; named again, it is gone on with.")] = Path("cohort"),
    slides: Annotated[str, typer.Option(help="none, diagnostic, or at most this many slides.")] = "none",
    labels: Annotated[str, typer.Option(help="A table of labels to join: FILE[:case_column].")] = "",
    genes: Annotated[Path | None, typer.Option(help="GMT: genes to keep; default: all protein-coding.")] = None,
    aux_genes: Annotated[
        Path | None,
        typer.Option(help="GMT: genes of mutations and copy number; default: 2 % of patients, and the panel."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Files fetched at once.")] = 4,
    server: Annotated[str, typer.Option(help="The GDC's API.")] = "https://api.gdc.cancer.gov",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what it would take, and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before fetching.")] = False,
) -> None:
    """Fetch clinical data, expression, mutations, copy number and slides of TCGA projects; open data, no token.

    Examples:
      python simulations/fetch_tcga.py --project TCGA-GBM TCGA-LGG --out cohorts/glioma --dry-run

      python simulations/fetch_tcga.py --project TCGA-GBM TCGA-LGG --labels subtypes.csv:patient --out cohorts/glioma

      python simulations/fetch_tcga.py --project TCGA-BRCA --slides 40 --out cohorts/breast
    """
    from simulations.progress import progress_bars
    from simulations.tcga.cohort import Options, carry_out, make_plan
    from simulations.tcga.gdc import Gdc
    from simulations.tcga.selection import slides_of

    console = Console()
    configure_logs(level=30)
    options = Options(
        projects=tuple(dict.fromkeys([*(project or []), *(more or [])])),
        out=out,
        slides=slides_of(slides),
        labels=labels,
        genes=genes,
        aux_genes=aux_genes,
        workers=workers,
    )
    with Gdc(server) as gdc:
        plan = make_plan(gdc, options)
        for line in (*plan.lines(), *plan.notes):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if dry_run:
            return
        if not yes:
            if not sys.stdin.isatty():
                raise BadInput("expected --yes or --dry-run where nobody can be asked, got neither; add one")
            typer.confirm("Fetch it?", abort=True)
        with progress_bars(console) as progress:
            carry_out(gdc, plan, progress, lambda line: console.print(line, markup=False, highlight=False))
    console.print(f"Cohort: {out}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_command(app)
