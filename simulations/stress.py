"""`python simulations/stress.py`: what becomes of a model when hospitals differ more, err or fail."""

import shlex
import sys
from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console

from shared.commands import run_command
from shared.errors import BadInput
from shared.logs import configure_logs


def main(
    study: Annotated[str, typer.Option(help="A study TOML, or the name of a packaged one.")] = "stress",
    cohort: Annotated[str, typer.Option(help="A cohort folder or a synthetic cohort; default: the study's.")] = "",
    curves: Annotated[
        str,
        typer.Option(help="Some of stain,blur,batch,units,labels,missing,dropout,poison,poison_labels; default: most."),
    ] = "",
    doses: Annotated[str, typer.Option(help="Rising numbers that begin with 0; default: each curve's own.")] = "",
    seeds: Annotated[int, typer.Option(help="Seeds: initial weights and splits.")] = 1,
    rounds: Annotated[int, typer.Option(help="Rounds; 0 = the study's.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="The first and the last dose of each curve only.")] = False,
    split: Annotated[str, typer.Option(help="tss, or column:NAME: the patient's site.")] = "",
    min_site_patients: Annotated[int, typer.Option(help="Smaller sites are never trained on.")] = 20,
    out: Annotated[Path | None, typer.Option(help="Folder; name one that is there to go on with it.")] = None,
    cache: Annotated[Path, typer.Option(help="Where cohorts and features are kept.")] = Path("cache"),
) -> None:
    """Train one study under rising doses of trouble, and draw what is left of it as dose-response curves.

    Examples:
      python simulations/stress.py

      python simulations/stress.py --curves dropout,poison --seeds 3

      python simulations/stress.py --curves labels --doses 0,0.1,0.3 --study s3_glioma_grade --out runs/labels
    """
    from shared.study import read_study
    from simulations.progress import progress_bars
    from simulations.stresses import Options, stress_curves
    from simulations.stresses.registry import DEFAULT
    from simulations.stresses.tables import summary_line
    from simulations.studies import cohort_of

    console = Console()
    configure_logs(level=50)  # sites that are left out of a wave are what is measured here
    with _study_path(study) as path:
        parsed = read_study(path)
    options = Options(
        study=parsed,
        study_folder=Path(study).parent,
        cohort=cohort or cohort_of(study),
        curves=tuple(name.strip() for name in curves.split(",") if name.strip()) if curves else DEFAULT,
        doses=_numbers(doses) if doses else None,
        seeds=seeds,
        rounds=None if rounds == 0 else rounds,
        quick=quick,
        split=split or None,
        least=min_site_patients,
        out=out,
        cache=cache,
        command=shlex.join(["python", "simulations/stress.py", *sys.argv[1:]]),
    )
    log = structlog.get_logger()
    with progress_bars(console) as progress:
        folder, content = stress_curves(options, progress, lambda line: log.warning(line))
    for curve in content["curves"]:
        for row in curve["rows"]:
            line = summary_line(curve, row, content["metric"])
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Page: {folder / 'stress.html'}", soft_wrap=True)


def _study_path(name: str) -> AbstractContextManager[Path]:
    """A file that exists, else a packaged study of that name; BadInput if it is neither."""
    packaged = files("simulations.studies").joinpath(f"{name}.toml")
    if Path(name).is_file():
        return as_file(Path(name))
    if not packaged.is_file():
        raise BadInput(f"--study: expected a TOML file or the name of a packaged study, got {name!r}; correct it")
    return as_file(packaged)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as exc:
        raise BadInput(f"--doses: expected numbers such as 0,0.5,1, got {text!r}; correct it") from exc


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_command(app)
