"""Models that the coordinator offered at the end of a run: run folders in <state>/models, as `predict` takes them."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock
from safetensors.numpy import save_file

from client.local_layers import LAYERS
from client.local_state import drop_local, own_folder, read_local
from client.scaffold import CONTROL
from shared.detection.contained import contained
from shared.detection.trained import DETECTOR, told_quality, write_trained
from shared.errors import BadInput, Refused
from shared.run_folder import OWN_LAYERS, RUN_FILES, RunFolder, parse_run, read_run
from shared.site import Site
from shared.study import DetectionTask, Study

__all__ = ["list_models", "receive_model"]


def receive_model(site: Site, study: Study, files: Mapping[str, bytes]) -> Path:
    """Check an offered run and keep it as <state>/models/<study>-<digest, 8 digits>; an older one gives way.

    The layers that this site keeps its own of (client/local_layers.py) are copied beside the model. The run is over, so
    its control variates are deleted. With the model of a detection study comes `detector/`, which the site file can
    name.

    Parameters
    ----------
    study
        The study that this site has approved.
    files
        File name -> content, manifest.json among them.

    Raises
    ------
    Refused
        MODEL_INVALID: larger than the study allows, damaged, or not a model of this study.
    """
    size, most = sum(map(len, files.values())), study.federation.max_message_mb
    if size > most * 1_000_000:
        raise Refused("MODEL_INVALID", f"expected an offer of at most {most} MB, got {size / 1e6:.1f}; it is not kept")
    try:
        run = parse_run(files, "the offered model")
        run.model()
    except BadInput as exc:
        raise Refused("MODEL_INVALID", str(exc)) from exc
    if run.study.digest != study.digest or not files.keys() <= {"manifest.json", *RUN_FILES}:
        raise Refused("MODEL_INVALID", "expected the model of the approved study, got another's; it is not kept")
    site.state.mkdir(parents=True, exist_ok=True)
    with FileLock(site.state / "models.lock"):
        return _keep(site, run, files)


def _keep(site: Site, run: RunFolder, files: Mapping[str, bytes]) -> Path:
    """Write the run's folder; an interruption leaves the new one or the older one."""
    study = run.study
    folder = site.state / "models" / run.name
    _mend(folder.parent)
    fresh, old = folder.with_name(f".{run.name}.new"), folder.with_name(f".{run.name}.old")
    for left in (fresh, old):
        shutil.rmtree(left, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, content in files.items():
        (fresh / name).write_bytes(content)
    kept = own_folder(site, study.digest)
    layers = read_local(kept, LAYERS, study.training.rounds + 1)
    if layers:
        save_file(layers, fresh / OWN_LAYERS)
    if isinstance(study.task, DetectionTask):
        with contained(site.state):
            quality = told_quality(json.loads(files["metrics.json"]))
            write_trained(fresh / DETECTOR, study, {**run.arrays, **layers}, quality)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    drop_local(kept, CONTROL)
    return folder


def list_models(site: Site) -> list[tuple[Path, RunFolder | BadInput]]:
    """Every received model by name, or what is wrong with it."""
    models = site.state / "models"
    if models.is_dir():
        with FileLock(site.state / "models.lock"):
            _mend(models)
    folders = sorted(path for path in models.glob("[!.]*") if path.is_dir())
    return [(folder, _read(folder)) for folder in folders]


def _mend(models: Path) -> None:
    """Put back a folder that was moved aside by a process that then stopped."""
    for old in models.glob(".*.old"):
        folder = models / old.name.removeprefix(".").removesuffix(".old")
        if not folder.exists():
            old.rename(folder)


def _read(folder: Path) -> RunFolder | BadInput:
    try:
        return read_run(folder)
    except BadInput as exc:
        return exc
