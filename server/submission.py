"""Hand a study to the SuperLink: check what a deployment needs, write what hospitals approve, start the run."""

import base64
import json
from pathlib import Path

from server.coordinator import SuperLink
from shared.cohort.genes import vocabulary
from shared.errors import StudyError, WorkFailed
from shared.study import ClassificationTask, Study
from shared.study_file import read_resolved
from shared.study_lint import privacy_faults

__all__ = ["gene_line", "job_folder", "message_bytes", "read_submittable", "run_config", "submit", "write_resolved"]

CARD = 100_000  # bytes
GOVERNANCE = """\
    [governance]
    purpose = "what the model is for"
    controller = "Example University Hospital"
    contact = "office@example.org"
    ethics_reference = "EC 1/26"
    retention = "models 10 years; features until the study ends\""""


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
            "  governance: expected purpose, controller, contact, ethics_reference and retention, got nothing; add the "
            f"section, since hospitals decide by it (deploy/README.md), e.g.\n{GOVERNANCE}"
        )
    tasks = {"task": study.task} | {f"heads.{head.name}.task": head.task for head in study.heads}
    faults += [
        f"  {place}.classes: expected the classes by name, got none; list them, since every site must agree"
        for place, task in tasks.items()
        if isinstance(task, ClassificationTask) and not task.classes
    ]
    if not study.outputs:
        return faults  # the width of the model's head is not known
    faults += [f"  {fault}" for fault in privacy_faults(study)]
    size, most = message_bytes(study), study.federation.max_message_mb
    if size > most * 1_000_000:
        faults.append(
            f"  federation.max_message_mb: expected a model of at most {most} MB a message, got {size / 1e6:.1f} MB; "
            "choose a smaller model.dim, or raise the limit (200 at most) and expect slow rounds"
        )
    return faults


def gene_line(study: Study) -> str:
    """How many genes in how many groups a resolved study takes; "" without expression."""
    expression = study.modalities.expression
    if expression is None:
        return ""
    groups = len(expression.groups)
    return f"genes: {len(vocabulary(expression.groups))} in {groups} group{'' if groups == 1 else 's'}"


def message_bytes(study: Study) -> int:
    """Bytes of the largest message that is known before a run: a full round, or the offer of the finished model.

    That is everything that travels, in fp32; the gene statistics, two float64 a gene; the study, offered as JSON and as
    TOML; and CARD for metrics, model card and the names of arrays.
    """
    from shared.weights import message_size

    expression = study.modalities.expression
    genes = len(vocabulary(expression.groups)) if expression else 0
    return 4 * message_size(study) + 16 * genes + 2 * len(study.canonical().encode()) + CARD


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
