"""A whole simulation: cohort -> hospitals -> features -> folds -> arms -> metrics.json and report.html."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from client.prepare.report import PrepareReport
from server.checkpoint import write_atomically
from server.heads import FILE as HEADS
from server.privacy_report import write_run_report
from server.results import write_manifest, write_study
from shared.errors import WorkFailed
from shared.metrics import MAIN
from shared.model_card import model_card
from shared.run_folder import ModelInputs
from shared.site import read_site
from shared.study import DetectionTask, Study
from shared.study_toml import study_toml
from simulations.adapt import of_fold
from simulations.calibration import calibration
from simulations.draws import cohort_digest, fold_digest, save_draws
from simulations.fairness import fairness
from simulations.fold import Fold, load_sites, make_folds
from simulations.forests import forest_notes
from simulations.hospitals import Hospital
from simulations.left_out import balance_notes
from simulations.options import Options
from simulations.private_settings import private_notes
from simulations.ready import Progress, make_ready
from simulations.report import write_report
from simulations.results import metrics_json
from simulations.run_folder import claim, held_of, refuse_other
from simulations.site_signature.measure import with_gap
from simulations.strategies import strategies_json
from simulations.stresses.finished import STRESS_FILE, read_stress, stress_part
from simulations.tested import cohort_line, protocol_line
from simulations.training import Training

__all__ = ["Options", "Progress", "simulate"]


def simulate(
    options: Options,
    progress: Progress,
    say: Callable[[str], None],
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[Path, dict[str, Any]]:
    """Run it all; returns the run folder and the content of metrics.json.

    `say` is given what a reader is warned of, `tell` who is in the run and who is tested.

    Raises
    ------
    BadInput
        The study, an option or the cohort is wrong, or the folder holds another run.
    WorkFailed
        The federation did not reach its quorum, or a training diverged.
    """
    if isinstance(options.study.task, DetectionTask):
        from simulations.detection import simulate_detection  # reads pictures where all else reads features

        return simulate_detection(options, progress, say, tell)
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
    study, hospitals, synthetic = ready.study, ready.hospitals, ready.synthetic
    for note in ready.notes:
        say(note)
    stress = None if options.stress is None else read_stress(options.stress)
    curves = None if stress is None else stress_part(stress, study, options.cohort, ready.notes)
    prepared = time.perf_counter() - clock
    folder = options.out or Path("runs") / f"{study.name}-{started:%Y%m%d-%H%M%S}"
    everybody, excluded = load_sites(hospitals, study)
    sizes, held = {site: len(data.patients) for site, data in everybody.items()}, held_of(ready, options.cohort)
    del everybody  # every fold has its own
    training = Training(options, ready, folder, progress)
    record = training.record
    first: list[Fold] = []
    for repeat in range(options.repeats):
        folds = make_folds(hospitals, of_fold(study, repeat, 0), options.min_site_patients, options.folds)
        if not first:  # nothing was wrong
            first = folds
            claim(folder, held)
            tell(cohort_line(held.cohort, sizes, ready.split))
            tell(protocol_line(folds, sizes, options.min_site_patients))
        record.folds.append([fold_digest(fold) for fold in folds])
        training.repeat(folds, repeat)
    if not record.arms:
        raise WorkFailed("; ".join(record.failed.values()))
    excluded += _left_out(ready.everyone) + ready.left_out
    excluded += _without_part(sizes, first)
    notes = (
        list(ready.notes)
        + _notes(study, hospitals, synthetic)
        + private_notes(study, options.strategies)
        + record.notes
    )
    notes += balance_notes(study, first) + (forest_notes(study) if options.forests else [])
    notes += [
        f"The {'strategy ' + arm if arm in options.strategies else arm + ' arm'} failed and is left out: {reason}"
        for arm, reason in record.failed.items()
    ]
    if record.strategies and "federated" not in record.arms:
        notes.append(f"Without a federated arm the strategies {', '.join(record.strategies)} are held against nothing.")
        for name in list(record.strategies):
            record.fail(name, "no federated arm")
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
        "pairing": {
            "source": held.cohort,
            "everyone": held.patients,
            "cohort": cohort_digest(first),
            "folds": record.folds,
        },
    }
    if record.strategies:
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
    if stress is None:
        (folder / STRESS_FILE).unlink(missing_ok=True)  # of an earlier run in this folder
    else:
        write_atomically(folder / STRESS_FILE, json.dumps(stress, indent=1, allow_nan=False).encode())
    write_report(metrics, study_toml(study), folder, record.pictures.get("federated"), curves)
    write_manifest(folder)
    if study.privacy.on and "federated" in record.arms:
        write_atomically(folder / HEADS, record.ledger_heads.read_bytes() if record.ledger_heads else b"{}")
        write_run_report(folder)
    return folder, metrics


def _without_part(sizes: Mapping[str, int], folds: Sequence[Fold]) -> Counter[str]:
    """Patients of hospitals that are in no fold, neither trained on nor unseen."""
    absent = sum(size for site, size in sizes.items() if not any(site in fold.sites for fold in folds))
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
