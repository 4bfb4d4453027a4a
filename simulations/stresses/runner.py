"""Train and score the study at every dose of every curve, and write what came of it."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from client.prepare.settings import PrepareSettings
from server.checkpoint import write_atomically
from shared import __version__
from shared.digests import sha256_json
from shared.errors import BadInput, CohortError, MmfedError
from shared.study import Study
from simulations.adapt import of_fold, override
from simulations.arms import inputs_name, train_arm
from simulations.fold import Fold, make_folds
from simulations.hospitals import Hospital
from simulations.multiplicity import compared
from simulations.ready import Progress, Ready, make_ready, prepare_hospitals
from simulations.report.words import own_words
from simulations.scores import measure_scores, score_arm
from simulations.stresses.curve import Base, Curve, Dosed, Line
from simulations.stresses.figure import draw_stress
from simulations.stresses.options import Options
from simulations.stresses.page import write_page
from simulations.stresses.points import Point, read_point, write_point
from simulations.stresses.prepared import lost_answers, refusals, slide_signature
from simulations.stresses.registry import CURVES
from simulations.stresses.rows import row_of
from simulations.stresses.tables import stress_csv, stress_markdown

__all__ = ["stress_curves"]

STRESS_FILE = "stress.json"
SCHEMA = 2  # of that file
FORMAT = 2  # of what a point holds; part of its name
PLACES = ("own", "own_site_mean", "unseen")


def stress_curves(options: Options, progress: Progress, say: Callable[[str], None]) -> tuple[Path, dict[str, Any]]:
    """Run every curve; returns the folder and the content of stress.json. A point that is there is not trained again.

    Raises
    ------
    BadInput
        An option is wrong, or a curve asks for what the study or the cohort does not have.
    """
    started = datetime.now(UTC)
    ready = make_ready(
        options.study,
        cohort=options.cohort,
        split=options.split,
        settings=options.settings,
        study_folder=options.study_folder,
        cache=options.cache,
        workers=options.workers,
        least=options.least,
        progress=progress,
    )
    curves = [CURVES[name] for name in options.curves]
    faults = [fault for curve in curves if (fault := curve.fault(ready.study, ready.cohort))]
    if faults:
        raise BadInput("\n".join(f"--curves: {fault}" for fault in faults))
    for note in ready.notes:
        say(note)
    folder = options.out or Path("runs") / f"stress-{ready.study.name}-{started:%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(options, ready, folder, progress)
    points: dict[tuple[str, str, float], list[Point]] = {}
    # seeds first: one untouched fold then serves every curve of the same settings
    plan = [
        (repeat, curve, line, dose)
        for repeat in range(options.seeds)
        for curve in curves
        for line in curve.lines(ready.study)
        for dose in options.doses_of(curve)
    ]
    for place, (repeat, curve, line, dose) in enumerate(plan):
        progress("points", place, len(plan))
        points.setdefault((curve.name, line.name, dose), []).append(run.point(curve, line, dose, repeat))
    progress("points", len(plan), len(plan))
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    content = _content(options, ready, curves, points) | {"started": started.isoformat(timespec="seconds")}
    write_atomically(folder / STRESS_FILE, json.dumps(content, indent=1, allow_nan=False).encode())
    write_atomically(folder / "stress.md", stress_markdown(content).encode())
    write_atomically(folder / "stress.csv", stress_csv(content).encode())
    draw_stress(content, folder)
    write_page(content, folder)
    return folder, content


@dataclass
class _Run:
    """The points of one run; a hospital is prepared once for each study that needs other features."""

    options: Options
    ready: Ready
    folder: Path
    progress: Progress
    prepared: dict[tuple[Path, str], bool] = field(default_factory=dict)  # (folder, settings) -> whether it can be used
    last: tuple[str, list[Hospital], Fold] | None = None  # what `_untouched` found, and for which study's digest

    def point(self, curve: Curve, line: Line, dose: float, repeat: int) -> Point:
        """One training at one dose, or what was kept of it."""
        options = self.options
        study = of_fold(override(self.ready.study, line.settings), repeat, 0)
        hospitals, fold = self._untouched(study)
        dosed, under = Dosed(hospitals), fold
        said: list[dict[str, Any]] = []
        if dose:
            base = Base(hospitals, fold, self.ready.cohort, options.cache, options.workers, self.progress)
            try:
                dosed = curve.apply(base, line, dose)
                if dosed.hospitals != hospitals:  # not only messages are touched
                    able = self._able(dosed.hospitals, study)
                    said = refusals(hospitals, dosed.hospitals, study)
                    under = make_folds(able, study, options.least, None)[0]
            except CohortError as exc:  # nobody is left to train, or there are fewer hospitals than the dose strikes
                return Point({}, {"failed": str(exc), "prepare": said})
        members = [hospital for hospital in dosed.hospitals if hospital.id in under.sites]
        decides = [FORMAT, __version__, inputs_name(under, members), under.training, line.arm, dosed.marks]
        name = sha256_json(decides)[:16]
        known = read_point(self.folder / "points" / f"{name}.npz")
        if known is None:
            known = _train(replace(dosed, hospitals=members), under, line.arm, self.folder / "checkpoints" / name)
            write_point(self.folder / "points" / f"{name}.npz", known)
        facts = {**known.facts, "prepare": said}
        if curve.signature:
            facts["signature"] = self._signature(self.folder / "points" / f"{name}.signature.json", under)
        return Point(known.measured, facts)

    def _untouched(self, study: Study) -> tuple[list[Hospital], Fold]:
        """The hospitals and the fold without a dose; those of the last study are kept, since lines share it."""
        if self.last is None or self.last[0] != study.digest:
            self.last = None  # only one fold at a time: it holds every patient's features
            hospitals = self._able(self.ready.hospitals, study)
            self.last = study.digest, hospitals, make_folds(hospitals, study, self.options.least, None)[0]
        return self.last[1:]

    def _able(self, hospitals: Sequence[Hospital], study: Study) -> list[Hospital]:
        """Those hospitals with a patient for the study, prepared."""
        settings = PrepareSettings.of(study).digest
        new = [hospital for hospital in hospitals if (hospital.folder, settings) not in self.prepared]
        able = {hospital.id for hospital in prepare_hospitals(new, study, self.progress)} if new else set()
        self.prepared |= {(hospital.folder, settings): hospital.id in able for hospital in new}
        return [hospital for hospital in hospitals if self.prepared[hospital.folder, settings]]

    @staticmethod
    def _signature(path: Path, fold: Fold) -> dict[str, Any] | None:
        """How well slide features name the hospital, or what was kept of it."""
        if path.is_file():
            known: dict[str, Any] | None = json.loads(path.read_bytes())
            return known
        found = slide_signature(fold)
        write_atomically(path, json.dumps(found).encode())
        return found


def _train(dosed: Dosed, fold: Fold, arm: str, checkpoints: Path) -> Point:
    try:
        trained = train_arm(arm, fold, dosed.hospitals, checkpoints, engine=dosed.engine)
        measured = measure_scores(score_arm(fold, trained), fold)
    except MmfedError as exc:
        return Point({}, {"failed": str(exc)})
    finally:
        shutil.rmtree(checkpoints, ignore_errors=True)
    facts = {"seconds": round(trained.seconds, 2), "missing": lost_answers(trained), "training": len(fold.training)}
    # numbers of patients alone, as in the file that is read when the point is wanted again
    kept = {where: replace(measured[where], people=None, counted={}) for where in PLACES if where in measured}
    return Point(kept, facts)


def _content(
    options: Options,
    ready: Ready,
    curves: Sequence[Curve],
    points: dict[tuple[str, str, float], list[Point]],
) -> dict[str, Any]:
    metric = compared(ready.study.task.kind, "own_site_mean")[0]
    return {
        "schema": SCHEMA,
        "command": options.command,
        "study": {"name": ready.study.name, "digest": ready.study.digest, "task": ready.study.task.kind},
        "cohort": {"name": options.cohort, "synthetic": ready.synthetic},
        "metric": metric,
        "seeds": options.seeds,
        "rounds": ready.study.training.rounds,
        "curves": [
            {
                "name": curve.name,
                "title": curve.title,
                "axis": curve.axis,
                "says": curve.says,
                "doses": list(options.doses_of(curve)),
                "lines": [
                    {"name": line.name, "words": line.words, "arm": line.arm} for line in curve.lines(ready.study)
                ],
                "rows": [
                    row_of(line, dose, points[curve.name, line.name, dose], points[curve.name, line.name, 0], metric)
                    for line in curve.lines(ready.study)
                    for dose in options.doses_of(curve)
                ],
            }
            for curve in curves
        ],
        "notes": [*ready.notes, *_notes(options, ready, metric)],
    }


def _notes(options: Options, ready: Ready, metric: str) -> list[str]:
    notes = [
        "At dose 0 nothing is touched; every other dose changes the files or the messages named, and nothing else.",
        f"Own: {own_words(metric)}; they are under the dose as well. "
        "Unseen: all patients of hospitals that never train.",
        f"Seeds ({options.seeds}) change weights and splits together. Intervals are 95 % of a bootstrap over the test "
        "patients; differences to dose 0 are paired by patient. No correction for several comparisons.",
    ]
    if options.seeds > 1:
        notes.append(
            "sd: over seeds; intervals are of their mean for other patients. A dose needs a model at every seed. "
            "Remarks name the hospitals, and count inputs and answers, of all seeds together."
        )
    if ready.synthetic:
        notes.append("Every patient of this cohort was generated; no figure here says anything about medicine.")
    return notes
