"""What two runs need to be compared patient by patient: the bootstrap draws of the main metrics, and whose they are.

`draws.safetensors` holds no patient: of every arm and floor, for `own`, `own_site_mean` and `unseen`, the value of each
repeat (R,) and the bootstrap draws (D,), averaged over folds. Draw d of two runs is of the same patients where the
digests of their folds (`pairing` in metrics.json) are equal.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from shared.cohort.patients import Patients
from shared.digests import sha256_json
from shared.errors import BadInput
from shared.metrics.scored import Floats
from simulations.averages import draws_of, points_of
from simulations.bootstrap import DRAWS
from simulations.fold import Fold
from simulations.scores import Measured

__all__ = ["FILE", "Draws", "Key", "cohort_digest", "fold_digest", "read_draws", "save_draws"]

FILE = "draws.safetensors"
PLACES = ("own", "own_site_mean", "unseen")
Key = tuple[str, str, str]
"""Arm or floor, where, metric."""


@dataclass(frozen=True)
class Draws:
    """One metric of one arm at one place: (R,) the value of each repeat, (D,) bootstrap draws; NaN = none."""

    points: Floats
    draws: Floats


def save_draws(
    folder: Path, tables: Iterable[Mapping[str, Mapping[str, Sequence[Sequence[Measured]]]]], metrics: Sequence[str]
) -> None:
    """Write `folder`/draws.safetensors from tables of arm or floor -> where -> repeats of folds."""
    arrays = {}
    for table in tables:
        for name, places in table.items():
            for where in PLACES:
                repeats = [folds for folds in places.get(where, ()) if folds]
                for metric in (m for m in metrics if repeats and m in repeats[0][0].point):
                    arrays[f"{name}/{where}/{metric}/points"] = points_of(repeats, metric)
                    arrays[f"{name}/{where}/{metric}/draws"] = draws_of(repeats, metric)
    save_file(arrays, folder / FILE)


def read_draws(path: Path) -> dict[Key, Draws]:
    """What `save_draws` wrote; {} when the run has none, BadInput when the file is damaged."""
    if not path.is_file():
        return {}
    try:
        arrays = load_file(path)
        names = {tuple(name.rsplit("/", 1)[0].rsplit("/", 2)) for name in arrays}
        found = {key: Draws(*(arrays["/".join((*key, part))] for part in ("points", "draws"))) for key in names}
    except (SafetensorError, KeyError) as exc:
        raise BadInput(f"{path}: expected draws of a run, got a damaged file; copy the run folder again") from exc
    return {(name, where, metric): draws for (name, where, metric), draws in sorted(found.items())}


def cohort_digest(folds: Sequence[Fold]) -> str:
    """SHA-256 of every patient of the folds with hospital and label, whatever their order."""
    rows = {tuple(row) for fold in folds for data in fold.sites.values() for row in _rows(data.patients)}
    return sha256_json(sorted(rows))


def fold_digest(fold: Fold) -> str:
    """SHA-256 of what makes bootstrap draws of a fold: its seed, and the patients that are scored, in their order.

    One digest of all of them: a digest of few patients could be guessed.
    """
    own = [row for site in fold.training for row in _rows(_tested(fold, site))]
    unseen = [
        row for site in sorted(fold.sites) if site not in fold.training for row in _rows(fold.sites[site].patients)
    ]
    return sha256_json([fold.study.seed, fold.study.split.repeat, fold.study.split.fold, DRAWS, own, unseen])


def _tested(fold: Fold, site: str) -> Patients:
    data = fold.sites[site]
    return data.patients.take(data.test)


def _rows(patients: Patients) -> list[list[Any]]:
    columns = (patients.site, patients.case_id, patients.y, patients.time, patients.cens)
    return [list(row) for row in zip(*(np.asarray(column).tolist() for column in columns), strict=True)]
