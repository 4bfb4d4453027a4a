"""`python -m simulations.synthetic`: write a synthetic cohort folder."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from shared.commands import run_command
from simulations.synthetic import BONE, BREAST, GLIOMA, KINDS, cohort_folder, write_cohort


class KindName(StrEnum):
    """What --kind takes: the names of KINDS."""

    GLIOMA = GLIOMA.name
    BONE = BONE.name
    BREAST = BREAST.name


def main(
    kind: Annotated[KindName, typer.Option(help="Which patients.")] = KindName.GLIOMA,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default: where run.py looks for it.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other patients.", min=0)] = 0,
    workers: Annotated[int, typer.Option(help="Processes that draw; their number changes no byte.", min=1)] = 2,
) -> None:
    """Write a cohort of generated patients in the formats that a hospital would have.

    Examples:
      python -m simulations.synthetic --kind bone --out bone-cohort

      python simulations/run.py --cohort bone-cohort --study bone
    """
    chosen = next(one for one in KINDS if one.name == kind.value)
    folder = out or cohort_folder(Path("cache"), chosen, seed)
    console = Console()
    columns = (TextColumn("drawing"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("drawing", total=None)
        write_cohort(
            folder,
            kind=chosen,
            seed=seed,
            workers=workers,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    console.print(f"Cohort: {folder}", soft_wrap=True)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_command(app)
