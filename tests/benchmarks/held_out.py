"""Train a study on one synthetic cohort and keep its predictions for held-out patients: shared by the bars."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shared.cohort.tables import read_clinical
from shared.metrics import Scored, interval
from shared.metrics.scored import Floats
from shared.study import Study
from simulations.ablations.compared import Compared, draw_cohort
from simulations.ablations.predictions import Predicted, places_of
from simulations.adapt import of_fold
from simulations.arms import train_arm
from simulations.fold import make_folds
from simulations.ready import make_ready
from simulations.scores import score_arm

LEAST = 20  # patients of a hospital that trains


def predictions(study: Study, cohort: str, settings: Sequence[str], seed: int, cache: Path) -> dict[str, Predicted]:
    """The federated model's scores of all held-out patients, own and unseen: under "", and without each modality."""
    changes = (f"seed={seed}", *settings)
    ready = make_ready(study, cohort=cohort, settings=changes, cache=cache, progress=lambda *_: None)
    line_of = {case: line for line, case in enumerate(read_clinical(ready.cohort)["case_id"])}
    (fold,) = make_folds(ready.hospitals, of_fold(ready.study, 0, 0), LEAST, None)
    with tempfile.TemporaryDirectory() as folder:
        scores = score_arm(fold, train_arm("federated", fold, ready.hospitals, Path(folder)), ablate=True)
    found = {"": scores, **scores.without}
    return {name: _together(places_of(fold, part, line_of).values()) for name, part in found.items()}


def _together(places) -> Predicted:
    parts = list(places)
    return Predicted(Scored.concat([part.scored for part in parts]), np.concatenate([part.rows for part in parts]))


def on_common(models: dict[str, Predicted]) -> dict[str, Predicted]:
    """Every model on the patients that all of them score, in one order."""
    rows = sorted(set.intersection(*(set(one.rows.tolist()) for one in models.values())))
    found = {}
    for name, one in models.items():
        place = {row: i for i, row in enumerate(one.rows.tolist())}
        found[name] = Predicted(one.scored.take([place[row] for row in rows]), np.array(rows, dtype=np.int64))
    return found


def draws_of(models: dict[str, Predicted], metric: str, seed: int) -> dict[str, tuple[float, Floats]]:
    """Model -> a metric and its bootstrap draws (D,); the draws of all models are of the same patients."""
    weights = draw_cohort(1 + max(int(one.rows.max()) for one in models.values()), seed)
    compared = {name: Compared((one,), weights) for name, one in models.items()}
    return {name: (float(one.points[metric][0]), one.draws[metric][0]) for name, one in compared.items()}


def shown(points: Sequence[float], draws: Sequence[Floats]) -> str:
    """The mean over cohorts with its 95 % interval; cohorts are different patients, so their draws are independent."""
    low, high = interval(np.mean(draws, axis=0))
    return f"{np.mean(points):+.3f} [{low:+.3f}, {high:+.3f}]"
