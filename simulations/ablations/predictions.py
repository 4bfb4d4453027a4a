"""Train one row of an ablation and keep what it predicts, so that an interrupted table goes on where it stopped."""

import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.checkpoint import write_atomically
from shared import __version__
from shared.digests import sha256_json
from shared.metrics import Scored
from shared.metrics.scored import Integers
from simulations.arms import inputs_name, train_arm
from simulations.baselines import score_baselines
from simulations.fold import Fold
from simulations.hospitals import Hospital
from simulations.scores import Scores, score_arm

__all__ = ["PLACES", "Places", "Predicted", "fit_floors", "places_of", "predict_fold"]

PLACES = ("own", "unseen")
FIELDS = ("scores", "y", "time", "event", "site")


@dataclass(frozen=True)
class Predicted:
    """What one model predicts for the test patients of one place.

    `rows` (n,) are the patients' lines in the cohort's clinical.tsv: they pair two models without naming anybody.
    """

    scored: Scored
    rows: Integers


Places = Mapping[str, Predicted]
"""`own`: test patients of the training hospitals; `unseen`: patients of the others, where there are any."""


def predict_fold(
    fold: Fold, hospitals: list[Hospital], arm: str, line_of: Mapping[str, int], folder: Path, cohort: str
) -> Places:
    """Train `arm` (federated or pooled) on a fold and predict its test patients; read from `folder` if it was done
    by this version of mmfed on the same feature stores.

    Parameters
    ----------
    line_of
        case_id -> line in the cohort's clinical.tsv.
    folder
        Takes one file a finished model, and the checkpoints of the one that is being trained.
    cohort
        Names the cohort's content: predictions for another one are not taken.
    """
    name = sha256_json([inputs_name(fold, hospitals), arm, cohort, sorted(fold.training), __version__])[:16]
    file = folder / f"{name}.npz"
    if not file.is_file():
        trained = train_arm(arm, fold, hospitals, folder / name)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file, _packed(places_of(fold, score_arm(fold, trained), line_of)))
        shutil.rmtree(folder / name, ignore_errors=True)  # a hundred models would fill the disk
    return _unpacked(file)


def fit_floors(fold: Fold, line_of: Mapping[str, int]) -> dict[str, Places]:
    """The floors of `score_baselines`, by name."""
    return {name: places_of(fold, scores, line_of) for name, scores in score_baselines(fold).items()}


def places_of(fold: Fold, scores: Scores, line_of: Mapping[str, int]) -> dict[str, Predicted]:
    """`scores` of a fold with the patients they belong to."""
    sites = [fold.sites[site] for site in fold.training]
    own = np.concatenate([site.patients.case_id[site.test] for site in sites])
    places = {"own": Predicted(scores.own, _lines(own, line_of))}
    if scores.unseen:
        others = [data.patients.case_id for site, data in sorted(fold.sites.items()) if site not in fold.training]
        places["unseen"] = Predicted(scores.unseen[0], _lines(np.concatenate(others), line_of))
    return places


def _lines(cases: NDArray[np.str_], line_of: Mapping[str, int]) -> Integers:
    return np.array([line_of[case] for case in cases.tolist()], dtype=np.int64)


def _packed(places: Places) -> bytes:
    arrays: dict[str, NDArray[np.generic]] = {}
    for place, predicted in places.items():
        scored = predicted.scored
        arrays |= {f"{place}/{name}": getattr(scored, name) for name in FIELDS}
        plain = {"edges": scored.edges, "kind": scored.kind, "ordered": scored.ordered, "rows": predicted.rows}
        arrays |= {f"{place}/{name}": np.asarray(value) for name, value in plain.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _unpacked(file: Path) -> dict[str, Predicted]:
    with np.load(file, allow_pickle=False) as arrays:
        found = {place: _read(arrays, place) for place in PLACES if f"{place}/rows" in arrays}
    return found


def _read(arrays: Mapping[str, NDArray[np.generic]], place: str) -> Predicted:
    part = {name: arrays[f"{place}/{name}"] for name in FIELDS}
    edges = tuple(float(edge) for edge in arrays[f"{place}/edges"])
    kind, ordered = str(arrays[f"{place}/kind"]), bool(arrays[f"{place}/ordered"])
    return Predicted(Scored(kind, **part, edges=edges, ordered=ordered), arrays[f"{place}/rows"])  # type: ignore[arg-type]
