"""A whole simulation: cohort -> hospitals -> features -> folds -> arms -> metrics.json and report.html."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from client.prepare.preparation import prepare
from client.prepare.report import PrepareReport
from client.prepare.settings import PrepareSettings
from server.checkpoint import write_atomically
from server.results import save_model, write_manifest
from shared.digests import canonical_json
from shared.errors import BadInput, CohortError, NoPatients, WorkFailed
from shared.site import read_site
from shared.study import Study, SurvivalTask
from shared.study_toml import study_toml
from simulations.adapt import adapt, of_fold, override
from simulations.arms import ARMS, Trained, train_arm
from simulations.baselines import score_baselines
from simulations.fold import Fold, load_sites, make_folds
from simulations.hospitals import Hospital, split_cohort
from simulations.report import write_report
from simulations.results import RunRecord, metrics_json, risk_curves
from simulations.scores import measure_scores, score_arm
from simulations.synthetic import KINDS, MARKER, cohort_folder, write_cohort

log = structlog.get_logger()

__all__ = ["Options", "Progress", "simulate"]

Progress = Callable[[str, int, int], None]
"""(what is being done, steps done, steps in all)"""


@dataclass(frozen=True)
class Options:
    """What `python simulations/run.py` was asked to do."""

    study: Study
    study_folder: Path | None = None
    cohort: str = "synthetic"
    split: str | None = None
    min_site_patients: int = 20
    arms: tuple[str, ...] = ("federated", "pooled", "local")
    folds: int | None = None
    repeats: int = 1
    settings: tuple[str, ...] = ()  # --set key=value
    out: Path | None = None
    cache: Path = Path("cache")
    workers: int = 2
    command: str = "python simulations/run.py"

    def __post_init__(self) -> None:
        unknown = [arm for arm in self.arms if arm not in ARMS]
        if unknown or not self.arms:
            raise BadInput(
                f"--arms: expected some of {', '.join(ARMS)}, got {', '.join(unknown) or 'none'}; correct it"
            )
        if min(self.repeats, self.min_site_patients, 1 if self.folds is None else self.folds) < 1:
            raise BadInput("--repeats, --folds and --min-site-patients: expected at least 1, got less; correct it")


def simulate(options: Options, progress: Progress, say: Callable[[str], None]) -> tuple[Path, dict[str, Any]]:
    """Run it all; returns the run folder and the content of metrics.json.

    Raises
    ------
    BadInput
        The study, an option or the cohort is wrong.
    WorkFailed
        The federation did not reach its quorum, or a training diverged.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    written = override(options.study, options.settings)
    cohort, synthetic = _cohort(options, written.seed, progress)
    study, notes = adapt(written, cohort, synthetic=synthetic, folder=options.study_folder)
    for note in notes:
        say(note)
    everyone = split_cohort(cohort, options.split, options.cache / "hospitals")
    hospitals = _prepare(everyone, study, progress)
    prepared = time.perf_counter() - clock
    folder = options.out or Path("runs") / f"{study.name}-{started:%Y%m%d-%H%M%S}"
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"--out: expected a folder, got the file {folder}; name another")
    folder.mkdir(parents=True, exist_ok=True)
    record = RunRecord()
    first: list[Fold] = []
    for repeat in range(options.repeats):
        folds = make_folds(hospitals, of_fold(study, repeat, 0), options.min_site_patients, options.folds)
        first = first or folds
        for number, fold in enumerate(folds):
            _run_fold(options, fold, hospitals, folder, record, (repeat, number, len(folds)), progress)
    if not record.arms:
        raise WorkFailed("; ".join(record.failed.values()))
    _, excluded = load_sites(hospitals, study)
    excluded += _left_out(everyone)
    notes = notes + _notes(study, hospitals, synthetic)
    notes += [f"The {arm} arm failed and is left out: {reason}" for arm, reason in record.failed.items()]
    timing = {
        "prepare_s": round(prepared, 2),
        "arms": {arm: round(seconds, 2) for arm, seconds in record.seconds.items()},
        "round_median_s": round(float(np.median(record.round_seconds)), 4) if record.round_seconds else None,
    }
    extra = {
        "timing": timing,
        "command": options.command,
        "notes": notes,
        "started": started.isoformat(timespec="seconds"),
    }
    made = [*study.modalities.names, "outcomes"] if synthetic else []
    metrics = metrics_json(study, record, first, excluded, repeats=options.repeats, synthetic=made, extra=extra)
    if synthetic:
        metrics["signal"] = _signal(metrics)
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=1, allow_nan=False).encode())
    write_atomically(folder / "study.toml", study_toml(study).encode())
    write_report(metrics, study_toml(study), folder)
    write_manifest(folder)
    return folder, metrics


def _cohort(options: Options, seed: int, progress: Progress) -> tuple[Path, bool]:
    """The cohort folder, and whether it is mmfed's own synthetic one."""
    kind = next((kind for kind in KINDS if kind.cohort == options.cohort), None)
    if kind is None:
        folder = Path(options.cohort)
        if not folder.is_dir():
            names = " or ".join(f"`{kind.cohort}`" for kind in KINDS)
            raise CohortError(f"--cohort: expected a folder, {names}, got {options.cohort!r}; check the path")
        return folder, (folder / MARKER).is_file()
    folder = cohort_folder(options.cache, kind, seed)
    write_cohort(
        folder,
        kind=kind,
        seed=seed,
        workers=options.workers,
        progress=lambda done, total: progress("drawing the cohort", done, total),
    )
    return folder, True


def _prepare(hospitals: list[Hospital], study: Study, progress: Progress) -> list[Hospital]:
    """Every hospital's feature store; a hospital whose patients have none of the study's modalities is left out."""
    settings, able = PrepareSettings.of(study), []
    for i, hospital in enumerate(hospitals):
        progress("preparing hospitals", i, len(hospitals))
        try:
            prepare(read_site(hospital.site_file), settings)
        except NoPatients:
            continue
        able.append(hospital)
    progress("preparing hospitals", len(hospitals), len(hospitals))
    return able


def _run_fold(
    options: Options,
    fold: Fold,
    hospitals: Sequence[Hospital],
    folder: Path,
    record: RunRecord,
    place: tuple[int, int, int],
    progress: Progress,
) -> None:
    """Train, score and measure every arm of one fold, and the floors."""
    repeat, number, of = place
    done, total = repeat * of + number, options.repeats * of
    for arm in ARMS:
        if arm not in options.arms or arm in record.failed:
            continue
        progress(f"training {arm}", done, total)
        try:
            trained = train_arm(arm, fold, hospitals, folder / "checkpoints")
            scores = score_arm(fold, trained, ablate=arm == "federated")
        except WorkFailed as exc:  # the other arms are still worth a report
            log.error("an arm failed", arm=arm, reason=str(exc))
            record.fail(arm, str(exc))
            continue
        record.put(record.arms.setdefault(arm, {}), measure_scores(scores, fold), repeat)
        for modality, part in scores.without.items():
            table = record.without.setdefault(arm, {}).setdefault(modality, {})
            record.put(table, measure_scores(part, fold), repeat)
        record.seconds[arm] = record.seconds.get(arm, 0.0) + trained.seconds
        record.round_seconds += [r["seconds"] for r in trained.rounds if "seconds" in r]
        if done == 0:
            record.rounds[arm] = trained.rounds
            _save(folder, arm, trained)
            if isinstance(fold.study.task, SurvivalTask) and scores.one_model and scores.unseen:
                record.curves[arm] = risk_curves(scores.unseen[0])
    progress("fitting floors", done, total)
    for name, scores in score_baselines(fold).items():
        record.put(record.baselines.setdefault(name, {}), measure_scores(scores, fold), repeat)
    progress("fitting floors", done + 1, total)


def _save(folder: Path, arm: str, trained: Trained) -> None:
    """Keep the federated model and its round records in the run folder."""
    if arm != "federated":
        return
    model = trained.models[""]
    save_model(folder, model.arrays, None if model.statistics is None else model.statistics.table)
    lines = [canonical_json(round_) for round_ in trained.rounds]
    write_atomically(folder / "events.jsonl", ("\n".join(lines) + "\n").encode())


def _left_out(hospitals: Sequence[Hospital]) -> Counter[str]:
    """Patients that `prepare` left out altogether, by reason; those of hospitals without any usable patient too."""
    counts: Counter[str] = Counter()
    for hospital in hospitals:
        state = read_site(hospital.site_file).state
        report = PrepareReport.read(state / "prepare-report.csv", state)
        rows = report.rows if report else []
        counts.update(row.reason for row in rows if row.state == "left out" and row.file == "clinical.tsv")
    return counts


def _notes(study: Study, hospitals: Sequence[Hospital], synthetic: bool) -> list[str]:
    """Sentences that every reader of the report needs."""
    notes = []
    if synthetic:
        notes.append("Every patient of this cohort was generated; no figure here says anything about medicine.")
    if study.modalities.slides and study.modalities.slides.weights == "random":
        notes.append('The slide encoder had random weights (weights = "random"): not for any result.')
    scales = {read_site(hospital.site_file).expression.scale for hospital in hospitals}
    if study.modalities.expression and "z" in scales:
        notes.append(
            "The expression table came z-scored over its whole cohort, test patients included, so it cannot be claimed "
            "that no statistic was fitted on test patients."
        )
    if study.federation.branch_quorum == 1:
        notes.append("branch_quorum is 1: a branch may be a single hospital's own.")
    return notes


def _signal(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """AUC of a linear model on each modality of a synthetic cohort, and on all together."""
    metric = "c_index" if metrics["study"]["task"] == "survival" else "auc"
    return {
        name.removeprefix("linear_"): value["own"][metric]
        for name, value in metrics["baselines"].items()
        if name.startswith("linear_")
    }
