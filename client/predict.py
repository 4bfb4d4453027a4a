"""`mmfed-client predict`: what a trained model says of the site's prepared patients, in a file that stays there."""

import csv
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from client.device import device_of
from client.evaluation import predict
from client.predict_inputs import open_inputs
from client.prepare.report import PrepareReport
from shared.cohort.drafts import replacing
from shared.cohort.load import load_everyone
from shared.cohort.patients import Patients
from shared.cohort.store import FeatureStore
from shared.cohort.tables import read_clinical, read_exclusions
from shared.errors import BadInput, Refused, WorkFailed
from shared.run_folder import RunFolder
from shared.site import Site
from shared.study import DetectionTask, Head, LabelTask, Study, SurvivalTask
from shared.weights import local_names

__all__ = ["RESEARCH", "Predicted", "predict_patients"]

RESEARCH = "research use only"
LAST = ["left_out", "model", "use"]
"""The last columns of every file of predictions."""
UNTRAINED = "has only modalities that the model was never trained on"
AVERAGED = (
    "with the hospitals' average of the layers that each keeps its own of: this folder has none of this site's; "
    "`predict --list` shows the models that came with them"
)


@dataclass(frozen=True)
class Predicted:
    """What was written; `used` counts the scored patients by the modalities that were used."""

    file: Path
    model: str
    used: Counter[str]
    left_out: Counter[str]  # reason -> patients
    excluded: int  # of clinical.tsv, by exclude.csv
    untrained: tuple[str, ...]  # modalities taken as absent
    averaged: bool  # layers that sites keep their own of are the average of all

    def lines(self) -> list[str]:
        """The outcome as plain text that names no patient."""
        used = ", ".join(f"{count} with {name}" for name, count in self.used.most_common())
        lines = [f"{self.used.total()} patients scored by {self.model}: {used}"]
        lines += [f"taken as absent, since the model was never trained on it: {name}" for name in self.untrained]
        lines += [AVERAGED] if self.averaged else []
        lines += [f"  {count} left out: {reason}" for reason, count in sorted(self.left_out.items())]
        lines += [f"  {self.excluded} not scored: exclude.csv"] if self.excluded else []
        return [*lines, f"{self.file}: {RESEARCH}; not for diagnosis or treatment"]


def predict_patients(site: Site, run: RunFolder, out: Path | None = None) -> Predicted:
    """Score every prepared patient of the site that has a modality of the model; a label is not needed.

    The file has one row a patient. `case_id`; for classes `prediction` and one `probability:<class>` each; for
    survival `risk` (higher = dies earlier) and `survival:<months>`, the chance to live beyond; the same with
    `<head>:` before it for each further head; then `modalities`, those used, joined by "+", `absent`, the study's
    others, `left_out`, why a patient could not be scored, `model` (study, digest) and `use`. It is written in one
    step and only its owner may read it. Patients of exclude.csv are not in it.

    Parameters
    ----------
    out
        The file; by default in the state folder's predictions. Only an earlier file of predictions gives way.

    Raises
    ------
    BadInput
        Not prepared for this model, other encoders than it was trained with, a model that finds lesions, or an `out`
        that cannot be written or would take the place of another file.
    Refused
        NO_PATIENTS: nobody can be scored.
    WorkFailed
        A prediction is not finite.
    """
    study = run.study
    if isinstance(study.task, DetectionTask):
        raise BadInput(
            f"{run.source}: expected a model that scores patients, got a detector; it serves `prepare`, which cuts "
            "images to the lesions it finds: name the run's folder detector/ as imaging.detector in the site file"
        )
    file = out or site.state / "predictions" / f"{run.name}.csv"
    if out is not None:
        _refuse_inside(out, site.data, Path(run.source))
    _check(file)
    store, withdrawn = open_inputs(site, run), read_exclusions(site.data)
    data = load_everyone(store, study, site.expression.scale, withdrawn)
    lost = [name for name, sha in run.inputs.encoders.items() if not sha]  # no training site had it
    untrained = tuple(name for name in study.modalities.names if name in {*lost, *run.inputs.untrained})
    patients = data.normalised(study, run.statistics)
    patients = patients.only([name for name in study.modalities.names if name not in untrained])
    known = patients.present.sum(axis=1) > 0
    if not known.any():
        raise Refused(
            "NO_PATIENTS", f"expected patients to score, got {len(known)}, each of whom {UNTRAINED}; use another model"
        )
    left_out = _left_out(site, store) | dict.fromkeys(patients.case_id[~known].tolist(), UNTRAINED)
    left_out = {case: reason for case, reason in left_out.items() if case not in withdrawn}
    tasks: list[tuple[LabelTask, Head | None]] = [(study.task, None), *((head.task, head) for head in study.heads)]
    model = run.model()
    rows = list(_rows(model.to(device_of(site)), study, patients.take(known), tasks))
    blank = [{"case_id": case, "left_out": reason} for case, reason in sorted(left_out.items())]
    _write(file, rows, blank, f"{run.name} {run.model_sha256[:12]}")
    return Predicted(
        file=file,
        model=run.name,
        used=Counter(row["modalities"] for row in rows),
        left_out=Counter(left_out.values()),
        excluded=len(withdrawn & set(read_clinical(site.data)["case_id"])),
        untrained=untrained,
        averaged=not run.own and bool(local_names(model, study.federation.strategy)),
    )


def _rows(
    model: nn.Module, study: Study, patients: Patients, tasks: list[tuple[LabelTask, Head | None]]
) -> Iterator[dict[str, Any]]:
    """What the model says, one row a patient."""
    parts = [_columns(model, patients, study, task, head) for task, head in tasks]
    for number, case_id in enumerate(patients.case_id.tolist()):
        used = [name for name, there in zip(patients.modalities, patients.present[number], strict=True) if there]
        row = {"case_id": case_id}
        for part in parts:
            row |= {name: values[number] for name, values in part.items()}
        absent = [name for name in patients.modalities if name not in used]
        yield row | {"modalities": "+".join(used), "absent": "+".join(absent)}


def _columns(
    model: nn.Module, patients: Patients, study: Study, task: LabelTask, head: Head | None
) -> dict[str, list[Any]]:
    """The columns of one task, each with P values."""
    scores = predict(model, patients, study, head)  # (P, C)
    if not np.isfinite(scores).all():
        raise WorkFailed("expected finite predictions, got NaN or infinity; the model diverged: use another one")
    prefix = f"{head.name}:" if head else ""
    if isinstance(task, SurvivalTask):
        curve = {f"{prefix}survival:{edge:g}": scores[:, k].tolist() for k, edge in enumerate(task.time_edges)}
        return {f"{prefix}risk": (-scores.sum(axis=1)).tolist(), **curve}
    shares = {f"{prefix}probability:{name}": scores[:, k].tolist() for k, name in enumerate(task.classes)}
    return {f"{prefix}prediction": [task.classes[k] for k in scores.argmax(axis=1)], **shares}


def _left_out(site: Site, store: FeatureStore) -> dict[str, str]:
    """case_id -> why a patient is not in the store: what `prepare` said, or that she came after it."""
    report = PrepareReport.load(store.folder.with_suffix(".json"), store.folder)
    rows = report.rows if report else []
    found = {row.case_id: row.reason for row in rows if row.state == "left out" and row.file == "clinical.tsv"}
    found.pop("", None)
    there = {*store.patients["case_id"], *found}
    late = [case for case in read_clinical(site.data)["case_id"] if case not in there]
    return found | dict.fromkeys(late, "not prepared yet: run `prepare`")


def _refuse_inside(path: Path, *folders: Path) -> None:
    """BadInput for a file in a folder whose files are not ours to change."""
    for folder in folders:
        if path.resolve().is_relative_to(folder.resolve()):
            raise BadInput(f"{path}: expected a file outside {folder}, got one inside; name another")


def _check(path: Path) -> None:
    """BadInput unless the table can be written to `path`, which is free or holds an earlier one; makes its folder."""
    with _writing(path):
        if path.is_dir():
            raise BadInput(f"{path}: expected a file to write, got a folder; name a file in it")
        if path.exists() and not (path.is_file() and _ours(path)):
            raise BadInput(f"{path}: expected no file or earlier predictions, got another file; name another")
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()


def _ours(path: Path) -> bool:
    """Whether the file has the header of predictions."""
    with path.open(encoding="utf-8", errors="replace") as file:
        header = next(csv.reader([file.readline(100_000)]), [])
    return header[:1] == ["case_id"] and header[-len(LAST) :] == LAST


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """BadInput where the file system refuses."""
    try:
        yield
    except OSError as exc:
        raise BadInput(f"{path}: expected a place to write to, got {exc.strerror}; name another file") from exc


def _write(path: Path, rows: list[dict[str, Any]], blank: list[dict[str, str]], model: str) -> None:
    """Write the table in one step, readable by its owner alone."""
    columns = [*rows[0], *LAST]
    with _writing(path), replacing(path) as draft:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows({**row, "model": model, "use": RESEARCH} for row in (*rows, *blank))
