"""Make a study fit a cohort: what a simulation may fill in, and a sentence for everything it changed."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from shared.cohort.genes import groups_digest
from shared.cohort.imaging_sheet import read_imaging
from shared.cohort.tables import (
    aux_columns,
    read_blood,
    read_clinical,
    read_exclusions,
    read_expression,
    read_slides,
)
from shared.errors import BadInput, CohortError, StudyError
from shared.resolve import resolve
from shared.study import ClassificationTask, DetectionTask, Federation, Study, SurvivalTask, parse_study
from shared.tasks import classes_in, task_of
from simulations.spellings import refuse_spellings

__all__ = ["adapt", "of_fold", "override"]

COSTS = ("epsilon", "delta", "sample_rate", "steps_per_round")
"""Privacy terms that decide how much noise a study needs."""


def override(study: Study, settings: Sequence[str]) -> Study:
    """Apply `--set key=value`; keys are paths of the study file, values are TOML (a bare word is a string).

    `modalities.NAME=false` runs the study without that modality.

    Raises
    ------
    BadInput
        A setting has no "=".
    StudyError
        The study is not valid with the new values.
    """
    if not settings:
        return study
    content = study.model_dump(mode="json", by_alias=True, exclude_defaults=False)
    model = content["model"]
    content["model"] = {"architecture": model["architecture"], **model["options"]}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path:
            raise BadInput(f"--set: expected key=value, got {setting!r}; write e.g. --set task.column=grade")
        _assign(content, path.strip().split("."), _value(text.strip()))
    return parse_study(content, source="--set")


def _assign(content: dict[str, Any], path: list[str], value: Any) -> None:
    if path == ["model", "architecture"] and content["model"]["architecture"] != value:
        content["model"] = {}  # another architecture has other options
    if path == ["model", "preset"]:  # the study's options are complete and would all win over the preset's
        content["model"] = {"architecture": content["model"]["architecture"]}
    if path == ["task", "kind"] and content["task"]["kind"] != value:
        content["task"] = {}
    if path == ["task", "column"] and content["task"].get("column") != value:
        content["task"] = {"kind": content["task"].get("kind")}  # all else was said of the other column
    if path == ["federation", "strategy"] and content["federation"]["strategy"] != value:
        content["federation"]["strategy_options"] = {}  # completed with the other one's defaults
        for name in ("quorum", "branch_quorum"):  # so is a quorum that was not raised
            if content["federation"].get(name) == Federation.model_fields[name].default:
                del content["federation"][name]
    if path == ["training", "rounds"] or (path[0] == "privacy" and path[-1] in COSTS):
        content["privacy"].pop("sigma", None)  # follows from what is changed here
    if len(path) == 2 and path[0] == "modalities" and value is False:
        value = None  # the study is run without
    for key in path[:-1]:
        if not isinstance(content.get(key), dict):
            content[key] = {}
        content = content[key]
    content[path[-1]] = value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def adapt(
    study: Study, cohort: Path, *, synthetic: bool, folder: Path | None = None, told: str = ""
) -> tuple[Study, list[str]]:
    """The study, resolved for `cohort`, and one sentence for every change.

    Parameters
    ----------
    study
        As written, with overrides applied.
    cohort
        A cohort folder.
    synthetic
        The cohort is mmfed's own, whose genes are the packaged panel.
    folder
        Folder of the study file, to which a GMT path is relative.
    told
        What an error calls the cohort, "" = its folder.
    """
    notes: list[str] = []
    clinical = read_clinical(cohort)
    study = _available(study, cohort, clinical, notes, told or str(cohort))
    study = _genes(study, cohort, synthetic, notes)
    study = _labels(study, clinical[~clinical["case_id"].isin(read_exclusions(cohort))], notes)
    # parsed again, so that what the cohort supplied is held to the same rules as what a person wrote
    return parse_study(resolve(study, folder).content(), source=study.name), notes


def of_fold(study: Study, repeat: int, fold: int) -> Study:
    """The study of one repeat and fold: repeat r uses seed + r (CONTRACT.md section 5)."""
    split = study.split.model_copy(update={"repeat": repeat, "fold": fold})
    return study.model_copy(update={"seed": study.seed + repeat, "split": split})


def _available(study: Study, cohort: Path, clinical: pd.DataFrame, notes: list[str], told: str) -> Study:
    """Drop the modalities that the cohort has no files for."""
    use = study.modalities
    slides = read_slides(cohort) if use.slides else None
    images = read_imaging(cohort) if use.imaging else None
    there = {
        "slides": slides is not None and bool(slides[["path", "features"]].notna().any(axis=None)),
        "expression": bool(use.expression) and read_expression(cohort) is not None,
        "blood": bool(use.blood) and read_blood(cohort) is not None,
        "imaging": any(image.path is not None for image in images or ()),
        "clinical": use.clinical is not None and all(name in clinical.columns for name in use.clinical.columns),
    }
    dropped = [name for name in use.names if not there[name]]
    if len(dropped) == len(use.names):
        raise StudyError(
            f"{told}: expected files for at least one of {', '.join(use.names)}, got none; use another one, or another "
            f"study than {study.name}"
        )
    if not dropped:
        return study
    notes.append(f"The cohort has no {' and no '.join(dropped)}: the study was run without.")
    return study.model_copy(update={"modalities": use.model_copy(update=dict.fromkeys(dropped))})


def _labels(study: Study, clinical: pd.DataFrame, notes: list[str]) -> Study:
    """Take the classes of the cohort where the study names none, and hold the whole table to every task at once."""
    faults: list[str] = []
    if not isinstance(study.task, DetectionTask):
        study = study.model_copy(update={"task": _labelled(study.task, clinical, "", notes, faults)})
    heads = [
        head.model_copy(update={"task": _labelled(head.task, clinical, f"head {head.name}: ", notes, faults)})
        for head in study.heads
    ]
    if faults:
        raise CohortError("\n".join(faults))
    return study.model_copy(update={"heads": tuple(heads)})


def _labelled(
    task: ClassificationTask | SurvivalTask, clinical: pd.DataFrame, name: str, notes: list[str], faults: list[str]
) -> ClassificationTask | SurvivalTask:
    """The task with its classes; adds what the task refuses to `faults`, and classes that nobody has to `notes`."""
    try:
        if isinstance(task, ClassificationTask) and not task.classes:
            refuse_spellings("clinical.tsv", {n: clinical[n].tolist() for n in task.columns if n in clinical.columns})
            task = task.model_copy(update={"classes": classes_in(clinical, task)})
        labels = task_of(task).labels(clinical)
    except (CohortError, StudyError) as exc:
        faults.append(f"{name}{exc}")
        return task
    classes = task.classes if isinstance(task, ClassificationTask) else ()
    nobody = [class_ for place, class_ in enumerate(classes) if place not in labels.y]
    if nobody:
        notes.append(f"{name}No patient of the cohort is {' or '.join(nobody)}: nothing can be learnt or said of it.")
    return task


def _genes(study: Study, cohort: Path, synthetic: bool, notes: list[str]) -> Study:
    """Take the cohort's own genes where a simulation may, and name the aux columns."""
    expression = study.modalities.expression
    if expression is None:
        return study
    update: dict[str, Any] = {}
    if expression.genes == "cohort" or (expression.genes == "panel" and not synthetic and not expression.groups):
        table = read_expression(cohort)
        if table is None:
            raise StudyError(f"{cohort}: expected expression.tsv for its genes, got none; name a GMT file")
        groups = {"cohort": tuple(sorted(table.index))}
        update |= {"genes": "cohort", "groups": groups, "genes_sha256": groups_digest(groups)}
        notes.append(f"Genes: all {len(table)} of the cohort's table, as one group.")
    if expression.aux and not expression.aux_columns:
        columns = aux_columns(cohort, expression.aux)
        kept = tuple(name for name in expression.aux if any(c.startswith(f"{name}:") for c in columns))
        update |= {"aux": kept, "aux_columns": columns}
        if kept != expression.aux:
            notes.append(f"The cohort has no {' and no '.join(sorted(set(expression.aux) - set(kept)))} table.")
    new = study.modalities.model_copy(update={"expression": expression.model_copy(update=update)})
    return study.model_copy(update={"modalities": new})
