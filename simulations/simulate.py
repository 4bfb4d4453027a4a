"""A whole simulation: cohort -> hospitals -> features -> folds -> arms -> metrics.json and report.html."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from client.prepare.report import PrepareReport
from server.checkpoint import write_atomically
from server.heads import FILE as HEADS
from server.privacy_report import write_run_report
from server.results import save_model, write_manifest, write_study
from shared.cohort.load import SitePatients
from shared.cohort.tables import read_clinical
from shared.digests import canonical_json
from shared.errors import BadInput, MmfedError, WorkFailed
from shared.metrics import MAIN
from shared.model_card import model_card
from shared.run_folder import ModelInputs
from shared.site import read_site
from shared.study import DetectionTask, Study, SurvivalTask
from shared.study_toml import study_toml
from simulations.adapt import of_fold, override
from simulations.arms import ARMS, Trained, train_arm
from simulations.attention import examine
from simulations.baselines import score_baselines
from simulations.calibration import calibration
from simulations.draws import cohort_digest, fold_digest, save_draws
from simulations.engine import Engine
from simulations.fairness import fairness, groups_of, measure_groups
from simulations.fold import Fold, load_sites, make_folds
from simulations.forests import forest_notes
from simulations.heads import score_heads
from simulations.hospitals import Hospital
from simulations.iid import IID, dealt_folds
from simulations.inline import InlineGrid
from simulations.left_out import balance_notes
from simulations.option_faults import option_faults
from simulations.private_settings import private_notes
from simulations.ready import Progress, Ready, make_ready
from simulations.report import write_report
from simulations.results import RunRecord, metrics_json, risk_curves
from simulations.scores import measure_by_site, measure_scores, score_arm
from simulations.site_signature.measure import measure_signature, with_gap
from simulations.strategies import strategies_json, strategy_faults, with_strategy
from simulations.stresses.finished import FILE as STRESS
from simulations.stresses.finished import of_study, read_stress
from simulations.stresses.page import stress_words
from simulations.tcga.merge_small import Rule

log = structlog.get_logger()

__all__ = ["Options", "Progress", "simulate"]

BASIC_ARMS = ("federated", "pooled", "local")  # those that a detector has


@dataclass(frozen=True)
class Options:
    """What `python simulations/run.py` was asked to do."""

    study: Study
    study_folder: Path | None = None
    cohort: str = "synthetic"
    split: str | None = None
    min_site_patients: int = 20
    merge_small: Rule = "none"
    arms: tuple[str, ...] = ("federated", "pooled", "local")
    folds: int | None = None
    repeats: int = 1
    forests: bool = False  # as floors, beside linear ones
    strategies: tuple[str, ...] = ()  # further ones, beside that of the study
    stress: Path | None = None  # folder of finished dose-response curves that the report shows
    seed: int | None = None  # None = the study's
    settings: tuple[str, ...] = ()  # --set key=value
    out: Path | None = None
    cache: Path = Path("cache")
    workers: int = 2
    engine: Engine = InlineGrid
    command: str = "python simulations/run.py"

    def __post_init__(self) -> None:
        known = BASIC_ARMS if isinstance(self.study.task, DetectionTask) else (*ARMS, IID)
        unknown = [arm for arm in self.arms if arm not in known]
        faults = []
        if unknown or not self.arms:
            got = ", ".join(unknown) or "none"
            faults.append(f"--arms: expected some of {', '.join(known)}, got {got}; correct it")
        faults += option_faults(
            self.study,
            self.changes,
            counts={"--repeats": self.repeats, "--min-site-patients": self.min_site_patients},
            folds=self.folds,
            seed=self.seed,
            out=self.out,
        )
        if not faults:
            faults = strategy_faults(override(self.study, self.changes), self.strategies, self.arms)
        if faults:
            raise BadInput("\n".join(faults))

    @property
    def changes(self) -> tuple[str, ...]:
        """`settings`, with the seed and the folds of a k-fold protocol among them."""
        changes = self.settings if self.seed is None else (*self.settings, f"seed={self.seed}")
        return (*changes, f"split.folds={self.folds}") if self.folds and self._counted else changes

    @property
    def _counted(self) -> bool:
        """Whether the study's protocol has as many folds as one asks for; option_faults tells of a wrong study."""
        try:
            return override(self.study, self.settings).split.counted
        except BadInput:
            return False


def simulate(options: Options, progress: Progress, say: Callable[[str], None]) -> tuple[Path, dict[str, Any]]:
    """Run it all; returns the run folder and the content of metrics.json.

    Raises
    ------
    BadInput
        The study, an option or the cohort is wrong.
    WorkFailed
        The federation did not reach its quorum, or a training diverged.
    """
    if isinstance(options.study.task, DetectionTask):
        from simulations.detection import simulate_detection  # reads pictures where all else reads features

        return simulate_detection(options, progress, say)
    started, clock = datetime.now(UTC), time.perf_counter()
    stress = None if options.stress is None else read_stress(options.stress)
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
    )
    study, hospitals, synthetic = ready.study, ready.hospitals, ready.synthetic
    for note in ready.notes:
        say(note)
    prepared = time.perf_counter() - clock
    folder = options.out or Path("runs") / f"{study.name}-{started:%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True, exist_ok=True)
    record = RunRecord()
    first: list[Fold] = []
    for repeat in range(options.repeats):
        folds = make_folds(hospitals, of_fold(study, repeat, 0), options.min_site_patients, options.folds)
        first = first or folds
        record.folds.append([fold_digest(fold) for fold in folds])
        for number, fold in enumerate(folds):
            _run_fold(options, ready, fold, folder, record, (repeat, number, len(folds)), progress)
        if IID in options.arms and IID not in record.failed:
            _run_control(options, ready, folds, folder, record, repeat, progress)
    if not record.arms:
        raise WorkFailed("; ".join(record.failed.values()))
    everybody, excluded = load_sites(hospitals, study)
    excluded += _left_out(ready.everyone)
    excluded += _without_part(everybody, first)
    notes = list(ready.notes) + _notes(study, hospitals, synthetic) + private_notes(study) + record.notes
    notes += balance_notes(study, first) + (forest_notes(study) if options.forests else [])
    notes += [
        f"The {'strategy ' + arm if arm in options.strategies else arm + ' arm'} failed and is left out: {reason}"
        for arm, reason in record.failed.items()
    ]
    if first[0].withheld:
        notes.append(
            "Fewer than min_patients training patients of the first fold have what the federated arm does without and "
            f"other arms use: {', '.join(first[0].withheld)}."
        )
    if "federated" not in record.arms:
        notes.append("No model was saved: that of a run is the federated arm's, which was not trained.")
    timing = {
        "prepare_s": round(prepared, 2),
        "arms": {arm: round(seconds, 2) for arm, seconds in record.seconds.items()},
        "round_median_s": round(float(np.median(record.round_seconds)), 4) if record.round_seconds else None,
    }
    trained = [first[0].sites[site].encoders for site in first[0].training]
    inputs = ModelInputs.of(study, trained, record.rounds.get("federated", []))
    extra = {
        "inputs": inputs.model_dump(mode="json"),
        "timing": timing,
        "command": options.command,
        "notes": notes,
        "started": started.isoformat(timespec="seconds"),
        "calibration": calibration(record.scored),
        "fairness": fairness(study, record.groups),
        "pairing": {"cohort": cohort_digest(first), "folds": record.folds},
    }
    if record.strategies and "federated" in record.arms:
        own = {study.federation.strategy: record.arms["federated"]}
        rounds = {**record.rounds, study.federation.strategy: record.rounds["federated"]}
        extra["strategies"] = strategies_json(study, own | record.strategies, rounds)
    made = [*study.modalities.names, "outcomes"] if synthetic else []
    metrics = metrics_json(study, record, first, excluded, repeats=options.repeats, synthetic=made, extra=extra)
    if synthetic:
        metrics["signal"] = _signal(metrics)
    if record.signature and "federated" in record.arms:
        metrics["signature"] = with_gap(record.signature, metrics)
    write_atomically(folder / "metrics.json", json.dumps(metrics, indent=1, allow_nan=False).encode())
    write_study(folder, study)
    save_draws(folder, (record.arms, record.baselines), MAIN[study.task.kind])
    if "federated" in record.arms:
        write_atomically(folder / "model-card.md", model_card(study, metrics).encode())
    else:  # a model of an earlier run in this folder, or of a fold before the arm failed, is not this run's
        for name in ("model.safetensors", "gene_stats.safetensors", "model-card.md", "events.jsonl"):
            (folder / name).unlink(missing_ok=True)
    if stress is not None:
        write_atomically(folder / STRESS, json.dumps(stress, indent=1, allow_nan=False).encode())
    curves = None if stress is None else stress_words(stress, same=of_study(stress, study), said=notes)
    write_report(metrics, study_toml(study), folder, record.pictures.get("federated"), curves)
    write_manifest(folder)
    if study.privacy.on and "federated" in record.arms:
        write_atomically(folder / HEADS, record.ledger_heads.read_bytes() if record.ledger_heads else b"{}")
        write_run_report(folder)
    return folder, metrics


def _run_fold(
    options: Options,
    ready: Ready,
    fold: Fold,
    folder: Path,
    record: RunRecord,
    place: tuple[int, int, int],
    progress: Progress,
) -> None:
    """Train, score and measure every arm of one fold, and the floors."""
    repeat, number, of = place
    done, total = repeat * of + number, options.repeats * of
    federated: Trained | None = None
    groups = groups_of(read_clinical(ready.cohort))
    for arm in ARMS:
        if arm not in options.arms or arm in record.failed:
            continue
        progress(f"training {arm}", done, total)
        try:
            trained = train_arm(arm, fold, ready.hospitals, folder / "checkpoints", federated, options.engine)
            scores = score_arm(fold, trained, ablate=arm == "federated")
        except WorkFailed as exc:  # the other arms are still worth a report
            log.error("an arm failed", arm=arm, reason=str(exc))
            record.fail(arm, str(exc))
            continue
        federated = trained if arm == "federated" else federated
        record.put(record.arms.setdefault(arm, {}), measure_scores(scores, fold), repeat)
        record.put(record.by_site.setdefault(arm, {}), measure_by_site(scores, fold), repeat)
        if repeat == 0:
            record.put(record.groups.setdefault(arm, {}), measure_groups(scores, fold.study, groups), repeat)
            record.scored.setdefault(arm, []).append(replace(scores, without={}, subsets={}))
        further = score_heads(fold, trained)
        for kept, parts in (
            (record.without, scores.without),
            (record.subsets, scores.subsets),
            (record.heads, further),
        ):
            for name, part in parts.items():
                table = kept.setdefault(arm, {}).setdefault(name, {})
                record.put(table, measure_scores(part, fold), repeat)
        record.seconds[arm] = record.seconds.get(arm, 0.0) + trained.seconds
        record.round_seconds += [r["seconds"] for r in trained.rounds if "seconds" in r]
        if done == 0:
            record.rounds[arm] = trained.rounds
            _save(folder, arm, trained)
            if arm == "federated":
                record.ledger_heads = trained.ledger_heads
                _examine(fold, trained, ready, record)
                _name_hospitals(fold, trained, record)
            if isinstance(fold.study.task, SurvivalTask) and scores.one_model and scores.unseen:
                record.curves[arm] = risk_curves(scores.unseen[0])
    _run_strategies(options, ready, fold, folder, record, place, progress)
    progress("fitting floors", done, total)
    for name, scores in score_baselines(fold, forests=options.forests).items():
        record.put(record.baselines.setdefault(name, {}), measure_scores(scores, fold), repeat)
    progress("fitting floors", done + 1, total)


def _run_strategies(
    options: Options,
    ready: Ready,
    fold: Fold,
    folder: Path,
    record: RunRecord,
    place: tuple[int, int, int],
    progress: Progress,
) -> None:
    """Train and measure one fold under every further strategy; none is needed where the arm federated failed."""
    repeat, number, of = place
    for name in options.strategies if "federated" in record.arms else ():
        if name in record.failed or name == fold.study.federation.strategy:
            continue
        progress(f"training with {name}", repeat * of + number, options.repeats * of)
        by = replace(fold, study=with_strategy(fold.study, name))
        try:
            trained = train_arm("federated", by, ready.hospitals, folder / "checkpoints", None, options.engine)
            found = measure_scores(score_arm(fold, trained), fold)
        except WorkFailed as exc:
            log.error("a strategy failed", strategy=name, reason=str(exc))
            record.fail(name, str(exc))
            continue
        record.put(record.strategies.setdefault(name, {}), found, repeat)
        record.seconds[name] = record.seconds.get(name, 0.0) + trained.seconds
        if repeat == number == 0:
            record.rounds[name] = trained.rounds


def _run_control(
    options: Options,
    ready: Ready,
    folds: Sequence[Fold],
    folder: Path,
    record: RunRecord,
    repeat: int,
    progress: Progress,
) -> None:
    """Train and measure the federation of dealt hospitals; single hospitals of it mean nothing."""
    hospitals, dealt = dealt_folds(ready, folds, folds[0].study, options.cache, progress)
    for fold in dealt:
        progress(f"training {IID}", repeat, options.repeats)
        try:
            trained = train_arm("federated", fold, hospitals, folder / "checkpoints", None, options.engine)
            found = measure_scores(score_arm(fold, trained), fold)
        except WorkFailed as exc:
            log.error("an arm failed", arm=IID, reason=str(exc))
            record.fail(IID, str(exc))
            return
        places = {where: measured for where, measured in found.items() if "." not in where}
        record.put(record.arms.setdefault(IID, {}), places, repeat)
        record.seconds[IID] = record.seconds.get(IID, 0.0) + trained.seconds
        if repeat == 0 and fold is dealt[0]:
            record.rounds[IID] = trained.rounds
    progress(f"training {IID}", repeat + 1, options.repeats)


def _examine(fold: Fold, trained: Trained, ready: Ready, record: RunRecord) -> None:
    """Keep what the federated model looked at; what has been trained is not lost where that fails."""
    try:
        record.attention["federated"], record.pictures["federated"] = examine(fold, trained, ready)
    except (MmfedError, OSError, KeyError) as exc:
        kind = type(exc).__name__  # not the message, which may name a patient's file
        log.error("what the model looked at is left out", reason=kind)
        record.notes.append(f"What the federated model looked at could not be shown ({kind}) and is left out.")


def _name_hospitals(fold: Fold, trained: Trained, record: RunRecord) -> None:
    """Keep how well the hospital can be told; what has been trained is not lost where that fails."""
    try:
        record.signature = measure_signature(fold, trained)
    except (MmfedError, ValueError, np.linalg.LinAlgError) as exc:
        kind = type(exc).__name__  # not the message, as above
        log.error("the site signature is left out", reason=kind)
        record.notes.append(f"How well the hospital can be told could not be measured ({kind}) and is left out.")


def _save(folder: Path, arm: str, trained: Trained) -> None:
    """Keep the federated model and its round records in the run folder."""
    if arm != "federated":
        return
    model = trained.models[""]
    save_model(folder, model.arrays, None if model.statistics is None else model.statistics.table)
    lines = [canonical_json(round_) for round_ in trained.rounds]
    write_atomically(folder / "events.jsonl", ("\n".join(lines) + "\n").encode())


def _without_part(sites: Mapping[str, SitePatients], folds: Sequence[Fold]) -> Counter[str]:
    """Patients of hospitals that are in no fold, neither trained on nor unseen."""
    absent = sum(len(data.patients) for site, data in sites.items() if not any(site in fold.sites for fold in folds))
    return Counter({"hospital too small to be left out in turn": absent}) if absent else Counter()


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
