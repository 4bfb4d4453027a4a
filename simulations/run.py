"""`python simulations/run.py`: split a cohort by hospital, train every arm, write a report."""

import shlex
import sys
from contextlib import AbstractContextManager
from dataclasses import replace
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
    study: Annotated[
        str, typer.Option(help="A study TOML, or the name of a packaged one; default: the cohort's.")
    ] = "",
    cohort: Annotated[
        str,
        typer.Option(
            help="A folder, `synthetic` (glioma), `bone`, `breast`, `features` or `lung` (real); default: the study's."
        ),
    ] = "",
    split: Annotated[
        str,
        typer.Option(
            help="tss, or column:NAME: the patient's site; default: tss for TCGA barcodes, column:site for other ids."
        ),
    ] = "",
    min_site_patients: Annotated[
        int | None, typer.Option(help="Smaller sites are never trained on; default: 20, of `lung` 1.")
    ] = None,
    merge_small: Annotated[
        str, typer.Option(help="Put smaller TCGA sites together by hospital, state or region; none.")
    ] = "none",
    arms: Annotated[
        str, typer.Option(help="Comma-separated arms; finetuned, personal and iid are further ones.")
    ] = "federated,pooled,local",
    strategies: Annotated[
        str,
        typer.Option(help="Further strategies to federate by, e.g. fedprox,scaffold,fedadam; default: the study's."),
    ] = "",
    protocol: Annotated[
        str,
        typer.Option(help="holdout, patient-kfold, preserved-site-kfold or leave-one-site-out; default: the study's."),
    ] = "",
    folds: Annotated[
        int, typer.Option(help="Folds of a k-fold protocol, 0 = 5; sites to leave out in turn, 0 = all.")
    ] = 0,
    repeats: Annotated[int, typer.Option(help="Repeat with seed, seed + 1, ...")] = 1,
    forests: Annotated[bool, typer.Option("--forests", help="Random forests as floors, too.")] = False,
    stress: Annotated[
        Path | None, typer.Option(help="Folder of a finished simulations/stress.py, whose curves the report shows.")
    ] = None,
    rounds: Annotated[int, typer.Option(help="Rounds; 0 = the study's.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed; -1 = the study's.")] = -1,
    engine: Annotated[str, typer.Option(help="inline, or ray: several processes or machines.")] = "inline",
    epsilon: Annotated[
        float, typer.Option(help="Train with differential privacy, at most this per site; 0 = off.")
    ] = 0.0,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override one study field: key=value.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; default: runs/<study>-<time>.")] = None,
    cache: Annotated[Path, typer.Option(help="Where cohorts and features are kept.")] = Path("cache"),
) -> None:
    """Train one study federated, pooled and locally over the hospitals of a cohort, and report what each is worth.

    Examples:
      python simulations/run.py

      python simulations/run.py --study s1_breast

      python simulations/run.py --epsilon 8

      python simulations/run.py --cohort lung

      python simulations/run.py --cohort DIR --split tss --study glioma_idh --repeats 5
    """
    from shared.study import read_study
    from simulations.engine import open_engine
    from simulations.option_faults import override_as_typed
    from simulations.private_settings import private_settings
    from simulations.progress import progress_bars
    from simulations.report import print_summary
    from simulations.report.terminal import privacy_lines
    from simulations.simulate import Options, simulate
    from simulations.studies import DEFAULT, cohort_of, least_of, study_of
    from simulations.tcga.merge_small import rule_of

    console = Console()
    configure_logs(level=30, plain=True)
    if not study:
        study = study_of(cohort)
        if study != DEFAULT:
            console.print(f"Study: {study}", highlight=False)
    cohort = cohort or cohort_of(study)
    with _study_path(study) as path:
        parsed = read_study(path)
    settings = [*(set_ or [])]
    settings += [f'split.protocol="{protocol}"'] if protocol else []
    settings += [f"training.rounds={rounds}"] if rounds else []
    if epsilon < 0:
        raise BadInput(
            f"--epsilon: expected more than 0, or 0 for training without privacy, got {epsilon:g}; correct it"
        )
    typed = {"split.protocol": "--protocol"} if protocol else {}
    typed |= {"training.rounds": "--rounds"} if rounds else {}
    if epsilon:
        private = private_settings(override_as_typed(parsed, settings, typed), epsilon)
        typed |= dict.fromkeys(("privacy.epsilon", "expected an epsilon"), "--epsilon")
        console.print("[bold]With --epsilon:[/bold]", *private, sep="\n  ", markup=True, highlight=False)
        settings += [line for line in private if _key(line) not in map(_key, settings)]
    options = Options(
        study=parsed,
        study_folder=Path(study).parent,
        cohort=cohort,
        split=split or None,
        min_site_patients=least_of(cohort) if min_site_patients is None else min_site_patients,
        merge_small=rule_of(merge_small),
        arms=_names(arms),
        strategies=_names(strategies),
        folds=folds or None,
        repeats=repeats,
        forests=forests,
        stress=stress,
        seed=None if seed == -1 else seed,
        settings=tuple(settings),
        typed=typed,
        out=out,
        cache=cache,
        command=shlex.join(["python", "simulations/run.py", *sys.argv[1:]]),
    )
    log = structlog.get_logger()
    with open_engine(engine) as opened, progress_bars(console) as progress:
        folder, metrics = simulate(
            replace(options, engine=opened),
            progress,
            lambda line: log.warning(line),
            lambda line: console.print(line, soft_wrap=True, markup=False, highlight=False),
        )
    print_summary(metrics, console)
    for line in privacy_lines(metrics):
        console.print(line, soft_wrap=True, highlight=False)
    console.print(f"Report: {folder / 'report.html'}", soft_wrap=True)
    if epsilon:
        console.print(f"Privacy report: {folder / 'privacy-report.html'}", soft_wrap=True)


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _key(setting: str) -> str:
    return setting.partition("=")[0].strip()


def _study_path(name: str) -> AbstractContextManager[Path]:
    """A file that exists, else a packaged study of that name; BadInput if it is neither."""
    folder = files("simulations.studies")
    packaged = folder.joinpath(name if name.endswith(".toml") else f"{name}.toml")
    if Path(name).is_file():
        return as_file(Path(name))
    if not packaged.is_file():
        known = ", ".join(sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml")))
        raise BadInput(f"--study: expected a TOML file or one of {known}, got {name!r}; choose one of them")
    return as_file(packaged)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_command(app)
