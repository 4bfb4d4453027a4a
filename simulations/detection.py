"""A whole simulation of a detection study: cohort -> hospitals -> arms -> metrics.json, report.html and detector/."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from client.detection.pictures import Example
from client.session import forget_sessions
from server.checkpoint import write_atomically
from server.results import save_model, write_manifest, write_study
from shared.detection.detector_file import Quality
from shared.detection.trained import DETECTOR, write_trained
from shared.digests import canonical_json
from shared.errors import WorkFailed
from shared.metrics.detection import Detected, measure_detected
from shared.model_card import model_card
from shared.run_folder import ModelInputs
from shared.study import Study
from shared.study_toml import study_toml
from shared.weights import Arrays
from simulations.adapt import of_fold
from simulations.arms import ARMS
from simulations.detection_arms import PictureFold, TrainedDetectors, make_picture_fold, train_detectors
from simulations.detection_scores import own_patients, score_detectors, unseen_patients
from simulations.ready import Progress, Ready, make_ready
from simulations.report import write_report
from simulations.results import RunRecord, run_json
from simulations.run_folder import claim, held_of, refuse_other
from simulations.tested import cohort_line

if TYPE_CHECKING:
    from simulations.options import Options

__all__ = ["simulate_detection"]

log = structlog.get_logger()


def simulate_detection(
    options: "Options",
    progress: Progress,
    say: Callable[[str], None],
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[Path, dict[str, Any]]:
    """As `simulate`; the run folder holds `detector/` too, which a site file can name for its crops."""
    started, clock = datetime.now(UTC), time.perf_counter()
    ready = make_ready(
        options.study,
        cohort=options.cohort,
        split=options.split,
        settings=options.changes,
        study_folder=options.study_folder,
        cache=options.cache,
        workers=options.workers,
        merge=options.merge_small,
        least=options.min_site_patients,
        progress=progress,
        check=lambda found: refuse_other(options.out, held_of(found, options.cohort)),
    )
    study, held = ready.study, held_of(ready, options.cohort)
    folder = options.out or Path("runs") / f"{study.name}-{started:%Y%m%d-%H%M%S}"
    record = RunRecord()
    for repeat in range(options.repeats):
        fold = make_picture_fold(ready.hospitals, of_fold(study, repeat, 0), options.min_site_patients)
        if repeat == 0:
            prepared = time.perf_counter() - clock
            claim(folder, held)
            shutil.rmtree(folder / DETECTOR, ignore_errors=True)  # of an earlier run in this folder
            cohort, training = _cohort(fold, ready.left_out), fold.training
            sizes = {site: data.patients + len(data.boxed) for site, data in fold.sites.items()}
            tell(cohort_line(held.cohort, sizes, ready.split))
            learned = sum(len(fold.sites[site].train) for site in training)
        _run_repeat(options, ready, fold, folder, record, repeat, progress)
        del fold  # pictures of one repeat at a time are enough
        forget_sessions()
    if not record.arms:
        raise WorkFailed("; ".join(record.failed.values()))
    notes = [*ready.notes, *_notes(ready, learned, record)]
    for note in notes:
        say(note)
    metrics = run_json(
        study,
        record,
        cohort,
        folds=1,
        repeats=options.repeats,
        synthetic=["imaging", "outcomes"] if ready.synthetic else [],
        training=training,
        extra={
            "inputs": ModelInputs.of(study, [], record.rounds.get("federated", [])).model_dump(mode="json"),
            "timing": {
                "prepare_s": round(prepared, 2),
                "arms": {arm: round(seconds, 2) for arm, seconds in record.seconds.items()},
                "round_median_s": round(float(np.median(record.round_seconds)), 4) if record.round_seconds else None,
            },
            "command": options.command,
            "notes": notes,
            "started": started.isoformat(timespec="seconds"),
        },
    )
    _write(folder, study, metrics, "federated" in record.arms)
    return folder, metrics


def _run_repeat(
    options: "Options",
    ready: Ready,
    fold: PictureFold,
    folder: Path,
    record: RunRecord,
    repeat: int,
    progress: Progress,
) -> None:
    """Train, score and measure every arm."""
    for arm in ARMS:
        if arm not in options.arms or arm in record.failed:
            continue
        progress(f"training {arm}", repeat, options.repeats)
        try:
            trained = train_detectors(arm, fold, ready.hospitals, folder / "checkpoints", options.engine)
        except WorkFailed as exc:  # the other arms are still worth a report
            log.error("a training failed", name=arm, reason=str(exc))
            record.fail(arm, str(exc))
            continue
        record.put(record.arms.setdefault(arm, {}), score_detectors(fold, trained), repeat)
        record.seconds[arm] = record.seconds.get(arm, 0.0) + trained.seconds
        record.round_seconds += [r["seconds"] for r in trained.rounds if "seconds" in r]
        if repeat == 0:
            record.rounds[arm] = trained.rounds
            if arm == "federated":
                _save(folder, fold, trained)
        progress(f"training {arm}", repeat + 1, options.repeats)


def _save(folder: Path, fold: PictureFold, trained: TrainedDetectors) -> None:
    """Keep the network with the averaged statistics, its round records, and the detector that crops with it."""
    arrays = trained.networks[""]
    save_model(folder, arrays, None)
    lines = [canonical_json(round_) for round_ in trained.rounds]
    write_atomically(folder / "events.jsonl", ("\n".join(lines) + "\n").encode())
    counts = {"sites": len(fold.training), "images": sum(len(fold.sites[site].train) for site in fold.training)}
    write_trained(folder / DETECTOR, fold.study, arrays, _quality(fold, arrays), counts)


def _quality(fold: PictureFold, arrays: Arrays) -> Quality:
    """How well the saved network does on everybody it did not learn from, with the averaged statistics everywhere."""
    parts = [own_patients(fold, dict.fromkeys(fold.training, arrays))]
    examples: list[Example] = [example for site in fold.training for example in fold.sites[site].test]
    if fold.unseen:
        parts.append(unseen_patients(fold, arrays))
        examples += [example for part in fold.unseen.values() for example in part]
    judged = Detected.concat(parts)
    scores = {name: round(float(value[0]), 4) for name, value in measure_detected(judged).items()}
    return Quality(**scores, images=len(examples), boxes=int(judged.boxes.sum()), patients=len(judged))


def _cohort(fold: PictureFold, left_out: Counter[str]) -> dict[str, Any]:
    """The section `cohort` of metrics.json: patients with a usable picture at hospitals that mark lesions."""
    sites = {}
    for site in fold.training:
        data = fold.sites[site]
        train, test = data.patients, len(data.boxed)
        sites[site] = {"patients": train + test, "train": train, "test": test, **_group(train + test)}
    unseen = {site: len({example.case_id for example in part}) for site, part in fold.unseen.items()}
    return {
        "patients": sum(row["patients"] for row in sites.values()) + sum(unseen.values()),
        "excluded": dict(sorted((fold.excluded + left_out).items())),
        "sites": sites,
        "unseen": {"patients": sum(unseen.values()), "sites": len(unseen), **_group(sum(unseen.values()))},
    }


def _group(patients: int) -> dict[str, Any]:
    return {"events": None, "classes": {}, "modalities": {"imaging": patients}}


def _notes(ready: Ready, images: int, record: RunRecord) -> list[str]:
    """Sentences that every reader of the report needs."""
    notes = []
    if ready.synthetic:
        notes.append("Every patient of this cohort was generated; no figure here says anything about medicine.")
    notes.append(
        f"The network learned from {images} pictures. Own patients are scored with the running statistics of BatchNorm "
        "that their hospital gathered, unseen ones with the average of the hospitals'."
    )
    notes += [f"The {arm} arm failed and is left out: {reason}" for arm, reason in record.failed.items()]
    if "federated" not in record.arms:
        notes.append("No model was saved: that of a run is the federated arm's, which was not trained.")
    return notes


def _write(folder: Path, study: Study, metrics: Mapping[str, Any], saved: bool) -> None:
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=1, allow_nan=False).encode())
    write_study(folder, study)
    if saved:
        write_atomically(folder / "model-card.md", model_card(study, metrics).encode())
    else:  # a model of an earlier run in this folder is not this run's
        for name in ("model.safetensors", "model-card.md", "events.jsonl"):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / DETECTOR, ignore_errors=True)
    write_report(dict(metrics), study_toml(study), folder)
    write_manifest(folder)
