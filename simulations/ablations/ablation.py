"""A whole ablation: every row of the chosen axes trained over several seeds and set beside the reference."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from client.prepare.settings import PrepareSettings
from server.checkpoint import write_atomically
from shared.cohort.genes import read_gmt
from shared.cohort.tables import read_clinical
from shared.errors import BadInput, CohortError, StudyError, WorkFailed
from shared.metrics import MAIN
from shared.study import ClassificationTask, Study
from shared.weights import new_model
from simulations.ablations.compared import Compared, draw_cohort
from simulations.ablations.figure import draw_ablation
from simulations.ablations.predictions import PLACES, Places, fit_floors, predict_fold
from simulations.ablations.row import NOT_REPORTED, Row
from simulations.ablations.systems import SYSTEMS
from simulations.ablations.tables import ablation_csv, ablation_markdown
from simulations.adapt import adapt, of_fold, override
from simulations.fold import Fold, make_folds
from simulations.hospitals import Hospital
from simulations.option_faults import option_faults
from simulations.ready import Progress, Ready, make_ready, prepare_hospitals

__all__ = ["Options", "ablate"]

SCHEMA = 1
ARMS = ("federated", "pooled")


@dataclass(frozen=True)
class Options:
    """What `python simulations/ablate.py` was asked to do."""

    system: str
    study: Study
    cohort: str
    axes: tuple[str, ...] = ()  # none = the system's default ones
    task: str = ""
    seeds: int = 3
    seed: int | None = None  # the first one; None = the study's
    arm: str = "federated"
    split: str | None = None
    min_site_patients: int = 20
    folds: int | None = None
    settings: tuple[str, ...] = ()
    gmt: Path | None = None
    study_folder: Path | None = None
    out: Path | None = None
    cache: Path = Path("cache")
    command: str = "python simulations/ablate.py"

    def __post_init__(self) -> None:
        system = SYSTEMS[self.system]
        faults = [
            f"--axes: expected some of {', '.join(system.axes)}, got {axis}; correct it"
            for axis in self.axes
            if axis not in system.axes
        ]
        if self.arm not in ARMS:
            faults.append(f"--arm: expected one of {', '.join(ARMS)}, got {self.arm}; correct it")
        faults += option_faults(
            self.study,
            self.changes,
            counts={"--seeds": self.seeds, "--min-site-patients": self.min_site_patients},
            folds=self.folds,
            seed=self.seed,
            out=self.out,
        )
        try:
            if self.gmt is not None:
                read_gmt(self.gmt)
        except CohortError as exc:
            faults.append(f"--gmt: {exc}")
        if faults:
            raise BadInput("\n".join(faults))

    @property
    def changes(self) -> tuple[str, ...]:
        """`settings`, and the seed as one of them."""
        return self.settings if self.seed is None else (*self.settings, f"seed={self.seed}")

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of the chosen axes."""
        axes = self.axes or SYSTEMS[self.system].default_axes
        return tuple(row for row in SYSTEMS[self.system].rows if row.axis in axes)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one row: predictions a seed and fold, or the reason why there are none."""

    row: Row
    study: Study | None = None
    notes: tuple[str, ...] = ()  # what was changed of this row alone to fit the cohort
    places: Mapping[str, Compared] = field(default_factory=dict)  # own, unseen
    not_run: str = ""


def ablate(options: Options, progress: Progress, say: Callable[[str], None]) -> tuple[Path, dict[str, Any]]:
    """Run every row; returns the folder and the content of ablation.json.

    Raises
    ------
    BadInput
        The study, an option or the cohort is wrong.
    WorkFailed
        The reference itself could not be trained.
    """
    started = datetime.now(UTC)
    ready = make_ready(
        options.study,
        cohort=options.cohort,
        split=options.split,
        settings=options.changes,
        study_folder=options.study_folder,
        cache=options.cache,
        progress=progress,
    )
    for note in ready.notes:
        say(note)
    folder = options.out or Path("runs") / f"ablate-{options.system}-{started:%Y%m%d-%H%M%S}"
    work = _Work(options, ready, folder, progress)
    planned = [work.plan(row) for row in options.rows]  # what cannot be run is said before hours of training
    for one in planned:
        if one.not_run:
            say(f"{one.row.axis} {one.row.value}: not run: {one.not_run}")
    reference = work.run(work.plan(Row("", "reference")))
    if reference.not_run:
        raise WorkFailed(reference.not_run)
    outcomes = []
    for number, one in enumerate(planned):
        progress("rows", number, len(options.rows))
        outcomes.append(work.run(one) if one.row.settings or one.row.cannot else reference)
    progress("rows", len(options.rows), len(options.rows))
    content = {
        "schema": SCHEMA,
        "system": options.system,
        "title": SYSTEMS[options.system].title,
        "command": options.command,
        "started": started.isoformat(timespec="seconds"),
        "study": {"name": ready.study.name, "digest": ready.study.digest, "task": options.task},
        "cohort": {"name": options.cohort, "synthetic": ready.synthetic, "patients": len(work.line_of)},
        "seeds": options.seeds,
        "arm": options.arm,
        "metrics": list(_metrics(ready.study)),
        "rows": [
            _row_json(row, outcome, reference, options.task)
            for row, outcome in zip(options.rows, outcomes, strict=True)
        ],
        "floors": _floors(work, reference),
        "notes": [*ready.notes, *_notes(options, ready)],
    }
    write_atomically(folder / "ablation.json", json.dumps(content, indent=1, allow_nan=False).encode())
    write_atomically(folder / "ablation.md", ablation_markdown(content).encode())
    write_atomically(folder / "ablation.csv", ablation_csv(content).encode())
    draw_ablation(content, folder)
    return folder, content


class _Work:
    """Trains rows; hospitals are prepared once for every kind of input."""

    def __init__(self, options: Options, ready: Ready, folder: Path, progress: Progress) -> None:
        self.options, self.ready, self.folder, self.progress = options, ready, folder, progress
        self.line_of = {case: line for line, case in enumerate(read_clinical(ready.cohort)["case_id"])}
        self.weights = draw_cohort(len(self.line_of), ready.study.seed)
        self.cohort = ready.everyone[0].folder.parent.name  # holds a digest of every input
        self.prepared = {PrepareSettings.of(ready.study).digest: ready.hospitals}

    def plan(self, row: Row) -> Outcome:
        """The study of a row, or why it cannot be run. Faults of one row leave the others alone."""
        if row.cannot or (row.needs_gmt and self.options.gmt is None):
            return Outcome(row, not_run=row.cannot or "no gene file was given (--gmt)")
        try:
            study, notes = self._fitted(row)
        except (StudyError, CohortError) as exc:
            return Outcome(row, not_run=" ".join(str(exc).split()))
        same = row.settings and study.digest == self.ready.study.digest
        return Outcome(row, study, notes, not_run="the cohort has nothing that this setting changes" if same else "")

    def run(self, planned: Outcome) -> Outcome:
        """Train a planned row over all seeds, or say why not."""
        row, study = planned.row, planned.study
        if planned.not_run or study is None:
            return planned
        try:
            found = {seed: self._seed(row, study, seed) for seed in range(self.options.seeds)}
        except (StudyError, CohortError, WorkFailed) as exc:
            return Outcome(row, not_run=" ".join(str(exc).split()))
        return replace(planned, places=self.compared(found))

    def compared(self, found: Mapping[int, Sequence[Places]]) -> dict[str, Compared]:
        """The places at which there are predictions of every seed and fold, from seed -> folds."""
        predicted = [(places, seed) for seed, folds in found.items() for places in folds]
        there = [place for place in PLACES if all(place in places for places, _ in predicted)]
        seeds = tuple(seed for _, seed in predicted)
        return {place: Compared(tuple(p[place] for p, _ in predicted), self.weights, seeds) for place in there}

    def folds(self, study: Study, seed: int) -> list[Fold]:
        """The folds of one seed, which sets the initial weights and who is a test patient."""
        part = of_fold(study, seed, 0)
        return make_folds(self._hospitals(study), part, self.options.min_site_patients, self.options.folds)

    def _seed(self, row: Row, study: Study, seed: int) -> list[Places]:
        self.progress(f"{row.axis} {row.value}".strip(), seed, self.options.seeds)
        hospitals = self._hospitals(study)
        found = [
            predict_fold(fold, hospitals, self.options.arm, self.line_of, self.folder / "rows", self.cohort)
            for fold in self.folds(study, seed)
        ]
        self.progress(f"{row.axis} {row.value}".strip(), seed + 1, self.options.seeds)
        return found

    def _fitted(self, row: Row) -> tuple[Study, tuple[str, ...]]:
        """The row's study, and what was changed of it, but not of the reference, to fit the cohort."""
        if not row.settings:
            return self.ready.study, ()
        gmt = self.options.gmt
        changes = [text.replace("{gmt}", "" if gmt is None else str(gmt.resolve())) for text in row.settings]
        written = override(self.options.study, (*self.options.changes, *changes))
        study, notes = adapt(
            written, self.ready.cohort, synthetic=self.ready.synthetic, folder=self.options.study_folder
        )
        return study, tuple(note for note in notes if note not in self.ready.notes)

    def _hospitals(self, study: Study) -> list[Hospital]:
        digest = PrepareSettings.of(study).digest
        if digest not in self.prepared:  # slides that another study had encoded are linked, not read again
            self.prepared[digest] = prepare_hospitals(self.ready.everyone, study, self.progress)
        return self.prepared[digest]


def _metrics(study: Study) -> tuple[str, ...]:
    """What the table shows, the main one first."""
    task = study.task
    if not isinstance(task, ClassificationTask):
        return (*MAIN["survival"], "ipcw_c_index")
    return (*MAIN["classification"], "macro_f1", "pr_auc", "f1" if len(task.classes) == 2 else "micro_auc")


def _row_json(row: Row, outcome: Outcome, reference: Outcome, task: str) -> dict[str, Any]:
    found = {
        "axis": row.axis,
        "value": row.value,
        "reference": not row.settings and not row.cannot,
        "settings": list(row.settings),
        "published": row.published.get(task, NOT_REPORTED),
        "not_run": outcome.not_run,
        "notes": list(outcome.notes),
    }
    if outcome.not_run or outcome.study is None:
        return found
    return found | {
        "digest": outcome.study.digest,
        "parameters": sum(p.numel() for p in new_model(outcome.study).parameters()),
        "modalities": list(outcome.study.modalities.names),
        **_measured(outcome, reference),
    }


def _measured(outcome: Outcome, reference: Outcome) -> dict[str, Any]:
    """`values` and `differences`: place -> metric -> figures."""
    values, differences = {}, {}
    for place, here in outcome.places.items():
        values[place] = {name: value.to_json() for name, value in here.values().items()}
        if outcome is not reference and place in reference.places:
            changes = here.minus(reference.places[place])
            differences[place] = {name: {**paired.found.__dict__, "n": paired.n} for name, paired in changes.items()}
    return {"values": values, "differences": differences}


def _floors(work: _Work, reference: Outcome) -> list[dict[str, Any]]:
    """The floors, refitted on the reference's own folds and inputs."""
    study, seeds = work.ready.study, work.options.seeds
    fits = {seed: [fit_floors(fold, work.line_of) for fold in work.folds(study, seed)] for seed in range(seeds)}
    every = [fit for folds in fits.values() for fit in folds]
    names = [name for name in every[0] if all(name in fit for fit in every)]
    outcomes = []
    for name in names:
        found = {seed: [fit[name] for fit in folds] for seed, folds in fits.items()}
        outcomes.append(Outcome(Row("floor", name), study, places=work.compared(found)))
    return [{"axis": "floor", "value": one.row.value, **_measured(one, reference)} for one in outcomes]


def _notes(options: Options, ready: Ready) -> Sequence[str]:
    notes = list(SYSTEMS[options.system].notes)
    notes.append(
        f"Seeds ({options.seeds}) change initial weights and split together. SD is over seeds; intervals are 95 % of a "
        "bootstrap over the cohort's patients, the same draws for every row and seed; differences are paired, on "
        "patients that both rows score."
    )
    if ready.synthetic:
        notes.append("Every patient of this cohort was generated; no figure here says anything about medicine.")
    return notes
