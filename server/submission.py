"""Hand a study to the SuperLink: check what a deployment needs, write what hospitals approve, start the run."""

import base64
import json
from pathlib import Path

from server.coordinator import SuperLink
from shared.errors import StudyError, WorkFailed
from shared.study import ClassificationTask, Study
from shared.study_file import read_resolved

__all__ = ["job_folder", "message_bytes", "read_submittable", "run_config", "submit", "write_resolved"]


def read_submittable(path: Path) -> Study:
    """The resolved study at `path`, fit for a deployment.

    Raises
    ------
    StudyError
        The file has faults, or lacks what only a simulation may leave out; the message lists everything.
    """
    study = read_resolved(path)
    faults = deployment_faults(study)
    if faults:
        raise StudyError(f"{path}: {len(faults)} fault{'s' if len(faults) > 1 else ''}\n" + "\n".join(faults))
    return study


def deployment_faults(study: Study) -> list[str]:
    """What a simulation may leave out and a deployment may not, one line a fault."""
    faults = []
    if study.governance is None:
        faults.append(
            "  governance: expected purpose, controller, contact, ethics_reference and retention, got nothing; "
            "add the section, hospitals decide by it"
        )
    if isinstance(study.task, ClassificationTask) and not study.task.classes:
        faults.append("  task.classes: expected the classes by name, got none; list them, since every site must agree")
        return faults  # the width of the model's head is not known
    size, most = message_bytes(study), study.federation.max_message_mb
    if size > most * 1_000_000:
        faults.append(
            f"  federation.max_message_mb: expected a model of at most {most} MB a message, got {size / 1e6:.1f} MB; "
            "choose a smaller model.dim, or raise the limit (200 at most) and expect slow rounds"
        )
    return faults


def message_bytes(study: Study) -> int:
    """Bytes of one full update: every parameter that travels, in fp32."""
    from shared.weights import new_model, trainable

    return 4 * sum(parameter.numel() for parameter in trainable(new_model(study)).values())


def write_resolved(study: Study, path: Path) -> Path:
    """Write the resolved study beside `path` as `<stem>.json`, the file that hospitals approve."""
    resolved = path.with_suffix(".json")
    if resolved != path:
        content = json.dumps(study.content(), indent=1, ensure_ascii=False, allow_nan=False)
        resolved.write_text(content + "\n", encoding="utf-8")
    return resolved


def submit(link: SuperLink, study: Study) -> int:
    """Start a run of `study`; its run id. A run folder of the same digest that is unfinished is resumed."""
    return link.start(job_folder(), run_config(study, link.folder / "flower" / "submitted"))


def run_config(study: Study, folder: Path) -> Path:
    """The file for `flwr run -c`: one command-line argument holds 128 KiB at most, and a study may be larger."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{study.digest}.toml"
    encoded = base64.b64encode(study.canonical().encode()).decode()
    path.write_text(f'study = "{encoded}"\ndigest = "{study.digest}"\n', encoding="utf-8")
    return path


def job_folder() -> Path:
    """The config-only bundle: in an installation beside this file, in a working tree under deploy/."""
    places = (Path(__file__).parent / "job", Path(__file__).parents[1] / "deploy" / "job")
    for place in places:
        if (place / "pyproject.toml").is_file():
            return place
    raise WorkFailed(f"expected the bundle in {places[0]}, got no such folder; install mmfed again")
