"""What privacy costs: every arm trained over several seeds on the same splits and patients."""

import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from server.checkpoint import write_atomically
from shared.errors import CohortError
from shared.metrics import measure, reasons
from shared.privacy.accounting import ACCOUNTANT
from shared.study import Study
from simulations.adapt import of_fold
from simulations.arms import train_arm
from simulations.bootstrap import patient_weights, seed_of
from simulations.fold import Fold, make_folds
from simulations.multiplicity import compared
from simulations.ready import Progress, make_ready
from simulations.report.words import metric_name, own_words
from simulations.results import RunRecord
from simulations.scores import Measured, Scores, measure_scores, score_arm
from simulations.utility.arms import CurveArm, arms_of
from simulations.utility.cohorts import cohort_at
from simulations.utility.figure import draw_curve
from simulations.utility.options import Options
from simulations.utility.rows import CALIBRATION, Table, findings_of, row_of
from simulations.utility.tables import curve_csv, curve_markdown

__all__ = ["utility_curve"]


def utility_curve(options: Options, progress: Progress, say: Callable[[str], None]) -> tuple[Path, dict[str, Any]]:
    """Train every arm; returns the folder and the content of utility.json.

    Raises
    ------
    BadInput
        A study, an option or the cohort is wrong.
    WorkFailed
        A training did not end well: a curve with a gap would mislead.
    """
    started = datetime.now(UTC)
    cohort = cohort_at(options, options.plain.seed if options.seed is None else options.seed, progress)
    plain, private = (
        make_ready(
            study,
            cohort=cohort,
            split=options.split,
            settings=settings,
            cache=options.cache,
            progress=progress,
        )
        for study, settings in ((options.plain, options.plain_changes), (options.private, options.private_changes))
    )
    notes = list(dict.fromkeys([*plain.notes, *private.notes]))
    for note in notes:
        say(note)
    folder = options.out or Path("runs") / f"utility-{options.plain.name}-{started:%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True, exist_ok=True)
    arms = arms_of(options, plain, private)
    tables: dict[str, Table] = {arm.name: {} for arm in arms}
    patients, total = {}, options.repeats * len(arms)
    for repeat in range(options.repeats):
        cases = None
        for place, arm in enumerate(arms):
            progress("training", repeat * len(arms) + place, total)
            fold = make_folds(arm.ready.hospitals, of_fold(arm.study, repeat, 0), options.min_site_patients, None)[0]
            cases = _same_patients(fold, cases)
            patients[arm.name] = _training_patients(fold)
            RunRecord.put(tables[arm.name], _measured(arm, fold, folder / "checkpoints"), repeat)
    progress("training", total, total)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    metric = compared(plain.study.task.kind, "own_site_mean")[0]
    content = {
        "schema": 1,
        "command": options.command,
        "started": started.isoformat(timespec="seconds"),
        "accountant": ACCOUNTANT,
        "task": plain.study.task.kind,
        "metric": metric,
        "calibration": list(CALIBRATION[plain.study.task.kind]),
        "cohort": {
            "name": options.cohort,
            "synthetic": plain.synthetic,
            "patients_per_site": options.patients_per_site,
        },
        "studies": {
            "plain": {"name": plain.study.name, "digest": plain.study.digest},
            "private": {"name": private.study.name, "digest": private.study.digest},
        },
        "repeats": options.repeats,
        "seed": plain.study.seed,
        "rows": [row_of(arm, tables, patients[arm.name]) for arm in arms],
        "notes": [*notes, *_notes(options, private.study, metric, plain.synthetic)],
    }
    content["findings"] = findings_of(arms, tables)
    write_atomically(folder / "utility.json", json.dumps(content, indent=1, allow_nan=False).encode())
    write_atomically(folder / "utility.md", curve_markdown(content).encode())
    write_atomically(folder / "utility.csv", curve_csv(content).encode())
    draw_curve(content, folder)
    return folder, content


def _measured(arm: CurveArm, fold: Fold, checkpoints: Path) -> dict[str, Measured]:
    """Train one arm by the path that `run.py` takes, and measure it."""
    scores = score_arm(fold, train_arm(arm.way, fold, arm.ready.hospitals, checkpoints / arm.name.replace(" ", "-")))
    found = measure_scores(scores, fold)
    places = {name: value for name, value in found.items() if name == "own_site_mean" or name.startswith("sites.")}
    return places | {"together": _together(scores, fold)}


def _together(scores: Scores, fold: Fold) -> Measured:
    """All own test patients at once, each scored by the model that its hospital would use: for calibration."""
    weights = patient_weights(scores.own, seed_of(fold.study))
    events = scores.own.events if scores.own.kind == "survival" else None
    return Measured(measure(scores.own), measure(scores.own, weights), reasons(scores.own), len(scores.own), events)


def _same_patients(fold: Fold, before: list[list[str]] | None) -> list[list[str]]:
    """The test patients, site by site; CohortError unless they are those of the arm before."""
    cases = [fold.sites[site].patients.case_id[fold.sites[site].test].tolist() for site in fold.training]
    if before is not None and cases != before:
        raise CohortError(
            "expected the same test patients with and without privacy, got others; give both studies modalities that "
            "the same patients have"
        )
    return cases


def _training_patients(fold: Fold) -> dict[str, int]:
    return {site: int((~fold.sites[site].test).sum()) for site in fold.training}


def _notes(options: Options, private: Study, metric: str, synthetic: bool) -> Sequence[str]:
    notes = [
        f"Seeds ({options.repeats}) change initial weights and split together. Intervals are 95 % of a bootstrap "
        "over the test patients, the same draws for every arm; differences are paired by patient.",
        "Above chance: by more than 1.96 standard errors, those of patients and of seeds taken together.",
        f"{metric_name(metric)}: {own_words(metric)}; calibration is over all of them together, each scored by the "
        "model that its hospital would use.",
        "Every private training keeps ledgers of its own: at real hospitals each repeat and each row would be charged "
        "to one budget.",
        f"The private study's settings were fixed beforehand: {_terms(private)}.",
    ]
    if synthetic:
        notes.append("Every patient of this cohort was generated; no figure here says anything about medicine.")
    return notes


def _terms(study: Study) -> str:
    terms, training = study.terms, study.training
    assert terms is not None
    return (
        f"{terms.rounds} rounds x {terms.steps_per_round} steps, sample rate {terms.sample_rate:g}, denominator "
        f"{terms.expected_batch:g}, clip {terms.clip:g}, {training.optimizer} with rate {training.learning_rate:g}"
    )
