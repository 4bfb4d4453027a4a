"""The commands of `mmfed-client` that work on the hospital's own files."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.errors import BadInput
from shared.site import Site

if TYPE_CHECKING:
    from client.prepare.report import PrepareReport
    from client.prepare.settings import PrepareSettings
    from shared.study import Study

__all__ = ["COMMANDS", "EXAMPLES"]

EXAMPLES = {
    "check": "Example: mmfed-client --site A check study.json",
    "prepare": "Examples:\n\nmmfed-client --site A prepare # for every approved study\n\n"
    "mmfed-client --site A prepare --study study.json --only slides --workers 8\n\n"
    "mmfed-client --site A prepare --purge CASE-0042 # a patient who withdrew",
    "train-detector": "Examples:\n\nmmfed-client --site A train-detector\n\n"
    "mmfed-client --site A train-detector --architecture yolov5n --weights yolov5nu.pt --sha256 7f3e...",
    "heatmap": "Example: mmfed-client --site A heatmap --study study.json --model model.safetensors --slide S-0042",
    "predict": "Examples:\n\nmmfed-client --site A predict --list # models that the coordinator has sent\n\n"
    "mmfed-client --site A predict --model runs/s3-glioma-grade-1 --out predictions.csv",
    "exclude": 'Example: mmfed-client --site A exclude CASE-0042 --reason "second opinion differs"',
}
NOTHING_TO_PREPARE = "nothing to prepare: a detection study reads the pictures of imaging.csv themselves"
StudyFile = Annotated[Path, typer.Argument(help="The study as the coordinator sent it: study.json or study.toml.")]
Cases = Annotated[list[str], typer.Argument(help="Patients, by case_id.", metavar="CASE_ID...")]


def check(context: typer.Context, study: StudyFile) -> None:
    """Show what a study would find here: every value of the task column with its class, patients per modality.

    A feature store that is there already is compared with its hashes, file by file.
    """
    from client.prepare.settings import PrepareSettings
    from client.prepare.site_check import check as inspect
    from client.prepare.store_state import store_state
    from shared.study_file import read_resolved

    site, read = context.obj.read(), read_resolved(study)
    report = inspect(site, read)
    if read.task.kind == "detection":
        typer.echo("\n".join([*report.lines(), NOTHING_TO_PREPARE]))
        raise typer.Exit(2 if report.faults else 0)
    state = store_state(site, PrepareSettings.of(read))
    typer.echo("\n".join([*report.lines(), state.line]))
    if report.faults or state.damaged:
        raise typer.Exit(2)


def prepare(
    context: typer.Context,
    study: Annotated[Path | None, typer.Option(help="Prepare for this study, approved or not.")] = None,
    only: Annotated[str, typer.Option(help="Work on these modalities now, e.g. slides or slides,blood.")] = "",
    workers: Annotated[int, typer.Option(help="Processors to use; 0 = compute.workers of the site file.")] = 0,
    weights: Annotated[Path | None, typer.Option(help="File with the slide encoder's pretrained weights.")] = None,
    purge: Annotated[
        list[str] | None, typer.Option(help="Delete every feature of this patient (case_id), who withdrew.")
    ] = None,
) -> None:
    """Turn the hospital's files into the feature store that training reads. What was done before is kept.

    What could not be used stands, with its reason, in the state folder's prepare-report.csv and .html; the exit code
    is then 3.
    """
    site = context.obj.read()
    if workers:
        if not 1 <= workers <= 64:
            raise BadInput(f"--workers: expected 1 to 64, got {workers}; correct it")
        site = site.model_copy(update={"compute": site.compute.model_copy(update={"workers": workers})})
    if purge:
        _purge(site, tuple(purge))
        return
    modalities = tuple(name.strip() for name in only.split(",") if name.strip())
    prepared = [(settings, _prepare(site, settings, modalities, weights)) for settings in _wanted(site, study)]
    if len(prepared) > 1:
        from client.prepare.page import write_reports

        write_reports(site, prepared)
    left_out = sum(report.left_out for _, report in prepared)
    if left_out:
        typer.echo(f"{left_out} inputs left out; see {site.state / 'prepare-report.html'}", err=True)
        raise typer.Exit(3)


def _wanted(site: Site, file: Path | None) -> "list[PrepareSettings]":
    """What the approved studies, or the one in `file`, want prepared; studies that agree share it."""
    from client.approvals import approved_studies
    from shared.study_file import read_resolved

    studies: tuple[Study, ...] = approved_studies(site) if file is None else (read_resolved(file),)
    if not studies:
        raise BadInput(f"expected an approved study at site {site.id}, got none; approve one, or name it with --study")
    from client.prepare.settings import PrepareSettings

    stored = [study for study in studies if study.task.kind != "detection"]
    if not stored:
        typer.echo(NOTHING_TO_PREPARE)
    return list({settings.digest: settings for settings in map(PrepareSettings.of, stored)}.values())


def _prepare(site: Site, settings: "PrepareSettings", only: tuple[str, ...], weights: Path | None) -> "PrepareReport":
    """Prepare for one study, with progress and a summary."""
    from client.prepare.preparation import prepare as make  # imports torch, for which no error should wait
    from client.progress import shown_progress

    with shown_progress(site.id) as progress:
        report = make(site, settings, only=only, weights_file=weights, progress=progress)
    typer.echo("\n".join(report.lines()))
    return report


def _purge(site: Site, case_ids: tuple[str, ...]) -> None:
    from client.prepare.purge import CANNOT_BE_UNDONE, purge

    changed = purge(site, case_ids)
    typer.echo(f"{len(case_ids)} patients excluded, {changed} files changed or deleted")
    typer.echo(CANNOT_BE_UNDONE)


def exclude(
    context: typer.Context,
    cases: Cases,
    reason: Annotated[str, typer.Option(help="Why; it stays at this site.")] = "",
) -> None:
    """Leave patients out from the next round on. Their features stay; `prepare --purge` deletes them."""
    from client.prepare.exclusions import exclude as leave_out

    site = context.obj.read()
    new = leave_out(site, tuple(cases), reason)
    typer.echo(f"{len(new)} patients added to {site.data / 'exclude.csv'}, {len(cases) - len(new)} were there")


def heatmap(
    context: typer.Context,
    study: Annotated[Path, typer.Option(help="The study the model was trained for.")],
    model: Annotated[Path, typer.Option(help="model.safetensors of a run, gene_stats.safetensors beside it.")],
    slide: Annotated[str, typer.Option(help="The slide_id, as in slides.tsv.")],
    out: Annotated[Path | None, typer.Option(help="Folder; default: heatmaps in the state folder.")] = None,
) -> None:
    """Draw where a trained model looked on a slide: a picture, and a GeoJSON of tiles that QuPath opens."""
    from client.heatmap import draw_heatmap
    from shared.study_file import read_resolved

    drawn = draw_heatmap(context.obj.read(), read_resolved(study), model, slide, out)
    typer.echo(f"{drawn.prediction}; {drawn.seen} tiles of this slide were seen")
    typer.echo(f"{drawn.picture}\n{drawn.tiles}")


def predict(
    context: typer.Context,
    model: Annotated[Path | None, typer.Option(help="Folder of a finished run, or one of --list.")] = None,
    out: Annotated[Path | None, typer.Option(help="CSV to write; default: predictions in the state folder.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="Show the models that this site has received.")] = False,
) -> None:
    """Score the prepared patients with a trained model: research use only.

    The file names patients by case_id and stays at this site. What could not be scored stands in it with its reason;
    the exit code is then 3.
    """
    site = context.obj.read()
    if listing:
        _show_models(site)
        return
    if model is None:
        raise BadInput("expected --model or --list, got neither; write `predict --model FOLDER`")
    from client.predict import predict_patients
    from shared.run_folder import read_run

    predicted = predict_patients(site, read_run(model), out)
    typer.echo("\n".join(predicted.lines()))
    if predicted.left_out:
        raise typer.Exit(3)


def _show_models(site: Site) -> None:
    from client.received_models import list_models

    models = list_models(site)
    for folder, run in models:
        state = str(run) if isinstance(run, BadInput) else f"{run.study.model.architecture}, digest {run.study.digest}"
        typer.echo(f"{folder}: {state}")
    if not models:
        typer.echo(f"site {site.id} has received no model yet")


def train_detector(
    context: typer.Context,
    architecture: Annotated[str, typer.Option(help="yolov5n, yolov5s, yolo11n, ...")] = "yolov5s",
    image_size: Annotated[int, typer.Option(help="px of the longer side; 32 divides it.")] = 640,
    epochs: Annotated[int, typer.Option(help="Passes over the images.")] = 100,
    batch: Annotated[int, typer.Option(help="Images in one step.")] = 16,
    weights: Annotated[Path | None, typer.Option(help="Start from these weights; a .pt file needs --sha256.")] = None,
    sha256: Annotated[str, typer.Option(help="SHA-256 of the .pt file, which runs code when it is opened.")] = "",
    seed: Annotated[int, typer.Option(help="Seed of the split and the training.")] = 0,
) -> None:
    """Train a lesion detector on the site's own boxes (imaging.csv), for the crops that `prepare` makes."""
    from client.progress import shown_progress
    from client.train_detector import train_detector as train

    site = context.obj.read()
    with shown_progress(site.id) as progress:
        trained = train(
            site,
            architecture=architecture,
            image_size=image_size,
            epochs=epochs,
            batch=batch,
            weights=weights,
            weights_sha256=sha256,
            seed=seed,
            progress=progress,
        )
    typer.echo("\n".join(trained.lines()))
    if trained.report.left_out:
        raise typer.Exit(3)


COMMANDS: dict[str, Callable[..., None]] = {
    "check": check,
    "prepare": prepare,
    "exclude": exclude,
    "heatmap": heatmap,
    "predict": predict,
    "train-detector": train_detector,
}
