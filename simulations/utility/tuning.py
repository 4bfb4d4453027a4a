"""Choose learning rate, clip and sampling on generated patients of other seeds than any figure is taken from."""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from server.checkpoint import write_atomically
from shared.errors import WorkFailed
from shared.strategy_names import training_faults
from shared.study import Study
from simulations.adapt import of_fold, override
from simulations.fold import Fold, make_folds
from simulations.multiplicity import compared
from simulations.ready import Progress, make_ready
from simulations.report.words import metric_name, number, own_words
from simulations.scores import measure_scores, score_arm
from simulations.utility.cohorts import cohort_at
from simulations.utility.in_memory import train_in_memory
from simulations.utility.options import Options

__all__ = ["FIRST_SEED", "plain_grid", "private_grid", "tune"]

FIRST_SEED = 100
"""Cohort seed of the first of `--repeats` tuning cohorts. Figures are taken from seed 0."""

CLIPS = (0.1, 0.3, 1.0)
STEPS = (0.3, 1.0, 3.0, 10.0)  # learning rate x clip: the longest way of one step without noise
SAMPLINGS = ((1.0, 1), (1.0, 4), (0.25, 4), (0.1, 10))  # sample rate, steps a round
PLAIN = {"adamw": (1e-3, 3e-3, 1e-2, 3e-2), "sgd": (0.03, 0.1, 0.3, 1.0)}


def private_grid(study: Study) -> Iterator[tuple[str, ...]]:
    """`--set` lines: every clip with every step size, then every other sampling at the study's own clip."""
    stated = study.terms
    assert stated is not None
    patients = stated.expected_batch / stated.sample_rate
    own = (stated.sample_rate, stated.steps_per_round)
    tried = [(own, clip, step) for clip, step in product(CLIPS, STEPS)]
    tried += [(other, stated.clip, step) for other, step in product(SAMPLINGS, STEPS) if other != own]
    for (rate, steps), clip, step in tried:
        yield (
            f"privacy.sample_rate={rate!r}",
            f"privacy.steps_per_round={steps}",
            f"privacy.expected_batch={rate * patients!r}",
            f"privacy.clip={clip!r}",
            f"training.learning_rate={step / clip / steps!r}",
        )


def plain_grid(study: Study) -> Iterator[tuple[str, ...]]:
    """`--set` lines of the study without privacy: rates of every optimizer that its strategy takes."""
    for optimizer, rates in PLAIN.items():
        if training_faults(study.federation.strategy, optimizer, study.task.kind):
            continue
        for rate in rates:
            yield (f"training.optimizer={optimizer}", f"training.learning_rate={rate!r}")


def tune(options: Options, progress: Progress) -> tuple[Path, dict[str, Any]]:
    """Run both grids; returns the folder and the content of tuning.json, the best settings first.

    Nothing here looks at a patient whom a figure is taken from: cohort seeds start at FIRST_SEED unless `--seed` says
    otherwise, and federations run in memory.
    """
    started = datetime.now(UTC)
    seeds = [(FIRST_SEED if options.seed is None else options.seed) + number for number in range(options.repeats)]
    plain = [_fold(options, options.plain, options.plain_changes, seed, progress) for seed in seeds]
    private = [_fold(options, options.private, options.private_changes, seed, progress) for seed in seeds]
    grid = [(lines, private) for lines in private_grid(private[0].study)]
    grid += [(lines, plain) for lines in plain_grid(plain[0].study)]
    rows = []
    for done, (lines, folds) in enumerate(grid):
        progress("settings", done, len(grid))
        rows.append(_row(lines, folds, options.descending))
    progress("settings", len(grid), len(grid))
    metric = compared(options.plain.task.kind, "own_site_mean")[0]
    content: dict[str, Any] = {
        "schema": 1,
        "command": options.command,
        "started": started.isoformat(timespec="seconds"),
        "studies": {"plain": options.plain.name, "private": options.private.name},
        "cohort": options.cohort,
        "seeds": seeds,
        "metric": metric,
        "rows": sorted(rows, key=lambda row: -(row["mean"] if row["mean"] is not None else -1.0)),
    }
    folder = options.out or Path("runs") / f"tune-{options.plain.name}-{started:%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "tuning.json", json.dumps(content, indent=1, allow_nan=False).encode())
    write_atomically(folder / "tuning.md", _markdown(content).encode())
    write_atomically(folder / "tuning.csv", _csv(content["rows"]).encode())
    return folder, content


def _fold(options: Options, study: Study, settings: Sequence[str], seed: int, progress: Progress) -> Fold:
    ready = make_ready(
        study,
        cohort=cohort_at(options, seed, progress),
        split=options.split,
        settings=(*settings, f"seed={seed}"),
        cache=options.cache,
        progress=progress,
    )
    return make_folds(ready.hospitals, of_fold(ready.study, 0, 0), options.min_site_patients, None)[0]


def _row(lines: tuple[str, ...], folds: Sequence[Fold], epsilons: Sequence[float]) -> dict[str, Any]:
    """Mean over seeds of the main metric, the mean of the sites, at each epsilon."""
    private = folds[0].study.privacy.on
    found: dict[str, float | None] = {}
    for epsilon in epsilons if private else (None,):
        changes = (*lines, f"privacy.epsilon={epsilon!r}") if private else lines
        values = np.array([_score(replace(fold, study=override(fold.study, changes))) for fold in folds])
        name = "without" if epsilon is None else f"{epsilon:g}"
        found[name] = float(values.mean()) if np.isfinite(values).all() else None
    known = [value for value in found.values() if value is not None]
    return {
        "private": private,
        "settings": list(lines),
        "by_epsilon": found,
        "mean": float(np.mean(known)) if len(known) == len(found) else None,
    }


def _score(fold: Fold) -> float:
    """NaN for a training that diverged."""
    try:
        trained = train_in_memory(fold)
    except WorkFailed:
        return math.nan
    point = measure_scores(score_arm(fold, trained), fold)["own_site_mean"].point
    return float(point[compared(fold.study.task.kind, "own_site_mean")[0]][0])


def _markdown(content: dict[str, Any]) -> str:
    lines = [
        f"# Settings tried for `{content['studies']['private']}` and `{content['studies']['plain']}`",
        "",
        f"{metric_name(content['metric'])}, {own_words(content['metric'])}, in the mean of the cohort seeds "
        f"{', '.join(map(str, content['seeds']))} of `{content['cohort']}`; no figure is taken from these patients.",
        "",
    ]
    for private in (True, False):
        rows = [row for row in content["rows"] if row["private"] is private]
        names = list(rows[0]["by_epsilon"])
        header = ["mean", *(f"epsilon {name}" if private else name for name in names), "settings"]
        lines += ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
        for row in rows:
            cells = [number(row["mean"]), *(number(row["by_epsilon"][name]) for name in names)]
            lines.append("| " + " | ".join([*cells, "`" + "` `".join(row["settings"]) + "`"]) + " |")
        lines.append("")
    return "\n".join([*lines, f"`{content['command']}`", ""])


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["private", "settings", "epsilon", "value"])
    for row in rows:
        for epsilon, value in row["by_epsilon"].items():
            writer.writerow([int(row["private"]), " ".join(row["settings"]), epsilon, "" if value is None else value])
    return buffer.getvalue()
