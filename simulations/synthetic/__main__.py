"""`python -m simulations.synthetic`: write a synthetic cohort folder."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from shared.commands import run_command
from shared.errors import BadInput
from simulations.synthetic import (
    BONE,
    BREAST,
    FEATURES,
    GLIOMA,
    KINDS,
    FeatureHospital,
    cohort_folder,
    feature_hospitals,
    write_cohort,
)


class KindName(StrEnum):
    """What --kind takes: the names of KINDS."""

    GLIOMA = GLIOMA.name
    BONE = BONE.name
    BREAST = BREAST.name
    FEATURES = FEATURES.name


def main(
    kind: Annotated[KindName, typer.Option(help="Which patients.")] = KindName.GLIOMA,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default: where run.py looks for it.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other patients.", min=0)] = 0,
    patients_per_site: Annotated[int, typer.Option(help="Of each hospital of features; 0 = 200.", min=0)] = 0,
    workers: Annotated[int, typer.Option(help="Processes that draw; their number changes no byte.", min=1)] = 2,
) -> None:
    """Write a cohort of generated patients in the formats that a hospital would have.

    Examples:
      python -m simulations.synthetic --kind bone --out bone-cohort

      python simulations/run.py --cohort bone-cohort --study bone

      python -m simulations.synthetic --kind features --patients-per-site 40
    """
    chosen = next(one for one in KINDS if one.name == kind.value)
    hospitals = _hospitals(chosen.name, patients_per_site)
    folder = out or cohort_folder(Path("cache"), chosen, seed, hospitals)
    console = Console()
    columns = (TextColumn("drawing"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("drawing", total=None)
        write_cohort(
            folder,
            kind=chosen,
            seed=seed,
            workers=workers,
            hospitals=hospitals,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    console.print(f"Cohort: {folder}", soft_wrap=True)


def _hospitals(kind: str, patients: int) -> tuple[FeatureHospital, ...] | None:
    """Hospitals of another size than the kind's own; None for its own."""
    if not patients:
        return None
    if kind != FEATURES.name:
        raise BadInput(
            f"--patients-per-site: expected --kind {FEATURES.name} beside it, got {kind}, whose hospitals differ in "
            "size; leave it out"
        )
    try:
        return feature_hospitals(patients)
    except ValueError as exc:
        raise BadInput(f"--patients-per-site: {exc}") from exc


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_command(app)
