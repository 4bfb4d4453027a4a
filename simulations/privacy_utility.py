"""`python simulations/privacy_utility.py`: what differential privacy costs in accuracy, as a figure and a table."""

import shlex
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer
from rich.console import Console

from shared.commands import run_command
from shared.errors import BadInput
from shared.logs import configure_logs

if TYPE_CHECKING:
    from shared.study import Study

PREFIX = "private_"


def main(
    study: Annotated[
        str, typer.Option(help="A packaged study that has a private_ twin, or a TOML file with [privacy].")
    ] = "features_relapse",
    cohort: Annotated[str, typer.Option(help="A cohort folder or a synthetic cohort; default: the study's.")] = "",
    features_only: Annotated[
        bool, typer.Option("--features-only", help="Generate eight hospitals of features, without pictures.")
    ] = False,
    patients_per_site: Annotated[int, typer.Option(help="Of the generated hospitals of features.")] = 200,
    epsilons: Annotated[str, typer.Option(help="Comma-separated epsilons of one study.")] = "8,4,1",
    repeats: Annotated[int, typer.Option("--repeats", "--seeds", help="Seeds: initial weights and splits.")] = 3,
    seed: Annotated[int, typer.Option(help="First seed, also of a generated cohort; -1 = the study's.")] = -1,
    split: Annotated[str, typer.Option(help="tss, or column:NAME: the patient's site.")] = "",
    min_site_patients: Annotated[int, typer.Option(help="Smaller sites are never trained on.")] = 20,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override one field of both studies.")] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Try learning rates, clips and sampling on cohorts of other seeds instead.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder; default: runs/utility-<study>-<time>.")] = None,
    cache: Annotated[Path, typer.Option(help="Where cohorts and features are kept.")] = Path("cache"),
) -> None:
    """Train each hospital alone, federated, federated with privacy at several epsilons, and pooled; compare them.

    Examples:
      python simulations/privacy_utility.py --patients-per-site 200 --features-only

      python simulations/privacy_utility.py --study glioma_survival --cohort DIR

      python simulations/privacy_utility.py --features-only --tune --repeats 2
    """
    from simulations.progress import progress_bars
    from simulations.studies import cohort_of
    from simulations.synthetic import FEATURES, PATIENTS_PER_SITE
    from simulations.utility.curve import utility_curve
    from simulations.utility.options import Options
    from simulations.utility.tables import summary_line
    from simulations.utility.tuning import tune as tune_settings

    if features_only and cohort:
        raise BadInput(f"--features-only: expected no --cohort beside it, got {cohort!r}; leave one of them out")
    plain, private = _studies(study)
    name = FEATURES.cohort if features_only else cohort or cohort_of(study)
    generated = name == FEATURES.cohort
    if patients_per_site != PATIENTS_PER_SITE and not generated:
        raise BadInput("--patients-per-site: expected --features-only beside it, got another cohort; leave it out")
    console = Console()
    configure_logs(level=30)
    log = structlog.get_logger()
    options = Options(
        plain=plain,
        private=private,
        cohort=name,
        epsilons=_numbers(epsilons),
        repeats=repeats,
        split=split or None,
        min_site_patients=min_site_patients,
        seed=None if seed == -1 else seed,
        settings=tuple(set_ or ()),
        patients_per_site=patients_per_site if generated else None,
        out=out,
        cache=cache,
        command=shlex.join(["python", "simulations/privacy_utility.py", *sys.argv[1:]]),
    )
    with progress_bars(console) as progress:
        if tune:
            folder, content = tune_settings(options, progress)
        else:
            folder, content = utility_curve(options, progress, lambda line: log.warning(line))
    if tune:
        console.print(f"Settings: {folder / 'tuning.md'}", soft_wrap=True)
        return
    for row in content["rows"]:
        console.print(summary_line(row, content["metric"]), markup=False, highlight=False, soft_wrap=True)
    console.print(f"Table: {folder / 'utility.md'}", soft_wrap=True)


def _studies(name: str) -> "tuple[Study, Study]":
    """The study without privacy and the one with it: a packaged pair, or a file with and without its [privacy]."""
    from shared.study import read_study
    from simulations.adapt import override

    folder = files("simulations.studies")
    private = folder.joinpath(f"{PREFIX}{name}.toml")
    if private.is_file():
        with as_file(private) as with_privacy, as_file(folder.joinpath(f"{name}.toml")) as without:
            return read_study(without), read_study(with_privacy)
    if not Path(name).is_file():
        pairs = sorted(path.name for path in folder.iterdir() if path.name.startswith(PREFIX))
        known = ", ".join(pair.removeprefix(PREFIX).removesuffix(".toml") for pair in pairs)
        raise BadInput(f"--study: expected one of {known}, or a TOML file, got {name!r}; choose one of them")
    study = read_study(Path(name))
    return override(study, ('privacy={mode="off"}',)), study


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as exc:
        raise BadInput(f"--epsilons: expected numbers such as 8,4,1, got {text!r}; correct it") from exc


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    run_command(app)
