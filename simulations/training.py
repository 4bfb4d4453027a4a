"""Train, score and measure every arm, strategy and floor of a fold."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import structlog

from server.checkpoint import write_atomically
from server.results import save_model
from shared.cohort.tables import read_clinical
from shared.digests import canonical_json
from shared.errors import MmfedError, WorkFailed
from shared.study import SurvivalTask
from simulations.arms import ARMS, Trained, train_arm
from simulations.attention import examine
from simulations.baselines import score_baselines
from simulations.fairness import groups_of, measure_groups
from simulations.fold import Fold
from simulations.heads import score_heads
from simulations.hospitals import Hospital
from simulations.iid import IID, dealt_folds
from simulations.options import Options
from simulations.ready import Progress, Ready
from simulations.results import RunRecord, risk_curves
from simulations.scores import Scores, measure_by_site, measure_scores, score_arm
from simulations.site_signature.measure import measure_signature
from simulations.strategies import with_strategy

__all__ = ["Training", "name_hospitals"]

log = structlog.get_logger()


@dataclass(frozen=True)
class Training:
    """Trains what `options` ask for; what is measured goes into `record`, the first fold's model into `folder`."""

    options: Options
    ready: Ready
    folder: Path
    progress: Progress
    record: RunRecord = field(default_factory=RunRecord)

    def repeat(self, folds: Sequence[Fold], repeat: int) -> None:
        """All folds of one repeat, and their control."""
        for number, fold in enumerate(folds):
            self._fold(fold, repeat, number, len(folds))
        if IID in self.options.arms and IID not in self.record.failed:
            self._control(folds, repeat)

    def _fold(self, fold: Fold, repeat: int, number: int, of: int) -> None:
        done, total, record = repeat * of + number, self.options.repeats * of, self.record
        federated: Trained | None = None
        for arm in ARMS:
            if arm not in self.options.arms or arm in record.failed:
                continue
            self.progress(f"training {arm}", done, total)
            found = self._trained(arm, arm, fold, self.ready.hospitals, federated)
            if found is None:
                continue
            trained, scores = found
            federated = trained if arm == "federated" else federated
            self._measure(arm, fold, trained, scores, repeat)
            if done == 0:
                self._keep(arm, fold, trained, scores)
        for name in self.options.strategies if "federated" in record.arms else ():
            if name in record.failed or name == fold.study.federation.strategy:
                continue
            self.progress(f"training with {name}", done, total)
            by = replace(fold, study=with_strategy(fold.study, name))
            found = self._trained(name, "federated", by, self.ready.hospitals)
            if found is not None:
                record.put(record.strategies.setdefault(name, {}), measure_scores(found[1], fold), repeat)
        self.progress("fitting floors", done, total)
        for name, scores in score_baselines(fold, forests=self.options.forests).items():
            record.put(record.baselines.setdefault(name, {}), measure_scores(scores, fold), repeat)
        self.progress("fitting floors", done + 1, total)

    def _control(self, folds: Sequence[Fold], repeat: int) -> None:
        """The federation of dealt hospitals; single hospitals of it mean nothing."""
        options, record = self.options, self.record
        hospitals, dealt = dealt_folds(self.ready, folds, folds[0].study, options.cache, self.progress)
        for fold in dealt:
            self.progress(f"training {IID}", repeat, options.repeats)
            found = self._trained(IID, "federated", fold, hospitals)
            if found is None:
                return
            places = {w: measured for w, measured in measure_scores(found[1], fold).items() if "." not in w}
            record.put(record.arms.setdefault(IID, {}), places, repeat)
        self.progress(f"training {IID}", repeat + 1, options.repeats)

    def _trained(
        self, name: str, arm: str, fold: Fold, hospitals: Sequence[Hospital], federated: Trained | None = None
    ) -> tuple[Trained, Scores] | None:
        """Train and score what the record calls `name`; None where that failed: the others are still worth a report."""
        record, folder = self.record, self.folder / "checkpoints"
        try:
            trained = train_arm(arm, fold, hospitals, folder, federated, self.options.engine)
            scores = score_arm(fold, trained, ablate=name == "federated")
        except WorkFailed as exc:
            log.error("a training failed", name=name, reason=str(exc))
            record.fail(name, str(exc))
            return None
        record.seconds[name] = record.seconds.get(name, 0.0) + trained.seconds
        record.rounds.setdefault(name, trained.rounds)  # of the first fold
        return trained, scores

    def _measure(self, arm: str, fold: Fold, trained: Trained, scores: Scores, repeat: int) -> None:
        record = self.record
        record.put(record.arms.setdefault(arm, {}), measure_scores(scores, fold), repeat)
        record.put(record.by_site.setdefault(arm, {}), measure_by_site(scores, fold), repeat)
        if repeat == 0:
            groups = groups_of(read_clinical(self.ready.cohort))
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
        record.round_seconds += [r["seconds"] for r in trained.rounds if "seconds" in r]

    def _keep(self, arm: str, fold: Fold, trained: Trained, scores: Scores) -> None:
        """What the report shows of the first fold; the federated model and its rounds go into the run folder."""
        record = self.record
        if arm == "federated":
            model = trained.models[""]
            save_model(self.folder, model.arrays, None if model.statistics is None else model.statistics.table)
            lines = [canonical_json(round_) for round_ in trained.rounds]
            write_atomically(self.folder / "events.jsonl", ("\n".join(lines) + "\n").encode())
            record.ledger_heads = trained.ledger_heads
            self._examine(fold, trained)
            name_hospitals(fold, trained, record)
        if isinstance(fold.study.task, SurvivalTask) and scores.one_model and scores.unseen:
            record.curves[arm] = risk_curves(scores.unseen[0])

    def _examine(self, fold: Fold, trained: Trained) -> None:
        """Keep what the federated model looked at; what has been trained is not lost where that fails."""
        record = self.record
        try:
            record.attention["federated"], record.pictures["federated"] = examine(fold, trained, self.ready)
        except (MmfedError, OSError, KeyError) as exc:
            kind = type(exc).__name__  # not the message, which may name a patient's file
            log.error("what the model looked at is left out", reason=kind)
            record.notes.append(f"What the federated model looked at could not be shown ({kind}) and is left out.")


def name_hospitals(fold: Fold, trained: Trained, record: RunRecord) -> None:
    """Keep how well the hospital can be told; what has been trained is not lost where that fails."""
    try:
        record.signature = measure_signature(fold, trained)
    except (MmfedError, ValueError, np.linalg.LinAlgError) as exc:
        kind = type(exc).__name__  # not the message, which may name a patient
        log.error("the site signature is left out", reason=kind)
        record.notes.append(f"How well the hospital can be told could not be measured ({kind}) and is left out.")
