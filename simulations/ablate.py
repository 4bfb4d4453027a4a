"""`python simulations/ablate.py`: change one setting of a published system at a time and measure what it is worth."""

import shlex
import sys
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
    study: Annotated[str, typer.Option(help="The system: s1, s2 or s3.")] = "s3",
    task: Annotated[str, typer.Option(help="s3: grade, class or survival; default: the system's first.")] = "",
    axes: Annotated[str, typer.Option(help="Comma-separated axes; default: those of the paper.")] = "",
    seeds: Annotated[int, typer.Option(help="Seeds: initial weights and splits.")] = 3,
    arm: Annotated[str, typer.Option(help="federated or pooled.")] = "federated",
    cohort: Annotated[str, typer.Option(help="A cohort folder or a synthetic cohort; default: the system's.")] = "",
    split: Annotated[str, typer.Option(help="tss, or column:NAME: the patient's site.")] = "",
    min_site_patients: Annotated[int, typer.Option(help="Smaller sites are never trained on.")] = 20,
    folds: Annotated[int, typer.Option(help="As for run.py; 0 = all of the study's protocol.")] = 0,
    rounds: Annotated[int, typer.Option(help="Rounds; 0 = the study's.")] = 0,
    seed: Annotated[int, typer.Option(help="First seed; -1 = the study's.")] = -1,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override one study field in every row.")] = None,
    gmt: Annotated[Path | None, typer.Option(help="A gene file for the rows that need another one.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder; name one that is there to go on with it.")] = None,
    cache: Annotated[Path, typer.Option(help="Where cohorts and features are kept.")] = Path("cache"),
) -> None:
    """Regenerate the ablation table of a published system: Markdown, CSV, JSON and a figure.

    Examples:
      python simulations/ablate.py --study s3 --axes modality,modularity

      python simulations/ablate.py --study s3 --axes model --task survival --cohort DIR
    """
    from shared.study import read_study
    from simulations.ablations.ablation import Options, ablate
    from simulations.ablations.systems import SYSTEMS
    from simulations.progress import progress_bars
    from simulations.studies import cohort_of

    if study not in SYSTEMS:
        raise BadInput(f"--study: expected one of {', '.join(SYSTEMS)}, got {study!r}; choose one of them")
    studies = SYSTEMS[study].studies
    task = task or next(iter(studies))
    if task not in studies:
        raise BadInput(f"--task: expected one of {', '.join(studies)}, got {task!r}; choose one of them")
    console = Console()
    configure_logs(level=40)
    with as_file(files("simulations.studies").joinpath(f"{studies[task]}.toml")) as path:
        parsed = read_study(path)
    settings = [*(set_ or [])]
    settings += [f"training.rounds={rounds}"] if rounds else []
    options = Options(
        system=study,
        study=parsed,
        cohort=cohort or cohort_of(studies[task]),
        axes=tuple(axis.strip() for axis in axes.split(",") if axis.strip()),
        task=task,
        seeds=seeds,
        seed=None if seed == -1 else seed,
        arm=arm,
        split=split or None,
        min_site_patients=min_site_patients,
        folds=folds or None,
        settings=tuple(settings),
        gmt=gmt,
        out=out,
        cache=cache,
        command=shlex.join(["python", "simulations/ablate.py", *sys.argv[1:]]),
    )
    log = structlog.get_logger()
    with progress_bars(console) as progress:
        folder, content = ablate(options, progress, lambda line: log.error(line))
    for row in content["rows"]:
        if row["not_run"]:
            console.print(f"Not run: {row['axis']} {row['value']}: {row['not_run']}", markup=False, soft_wrap=True)
    console.print(f"Tables: {folder / 'ablation.md'}", soft_wrap=True)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_command(app)
