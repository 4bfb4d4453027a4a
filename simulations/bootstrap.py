"""Bootstrap weights that belong to patients, so that folds, repeats, arms and runs draw the same people.

Draw d gives a patient a Poisson(1) number of copies (Hanley and MacGibbon 2006; Chamandy et al. 2012) that depends on
the patient and the seed alone. A patient who is tested in three repeats is drawn in all of them or in none: repeats
lessen the chance of the training, never that of the test patients. Copies are scaled inside each class (or deaths and
survivors), whose share is fixed: a stratified bootstrap. By site, all patients of a hospital are drawn together.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from shared.metrics import Scored
from shared.metrics.scored import Floats
from shared.study import Study

__all__ = ["DRAWS", "patient_weights", "seed_of", "site_copies", "site_weights"]

DRAWS = 1000


def seed_of(study: Study) -> int:
    """The seed of all repeats of a study: repeat r has its seed + r (CONTRACT.md section 5)."""
    return study.seed - study.split.repeat


def patient_weights(scored: Scored, seed: int) -> Floats:
    """(DRAWS, n) how often each patient is drawn; in every class, or among the dead, n on the whole."""
    weights = _copies([f"patient {who}" for who in scored.who.tolist()], seed)
    outcome = scored.event if scored.kind == "survival" else scored.y
    for value in np.unique(outcome):
        rows = np.flatnonzero(outcome == value)
        total = weights[:, rows].sum(axis=1, keepdims=True)
        weights[:, rows] = np.where(total > 0, weights[:, rows] * len(rows) / np.where(total > 0, total, 1.0), 1.0)
    return weights


def site_weights(scored: Scored, seed: int) -> Floats:
    """(DRAWS, n) how often each patient is drawn with all others of the hospital; a draw of none counts all once."""
    names, place = np.unique(scored.site, return_inverse=True)
    weights = site_copies(names.tolist(), seed)
    weights[weights.sum(axis=1) == 0] = 1.0
    return weights[:, place]


def site_copies(names: Sequence[str], seed: int) -> Floats:
    """(DRAWS, hospitals) how often each hospital is drawn."""
    return _copies([f"site {name}" for name in names], seed)


def _copies(names: Sequence[str], seed: int) -> Floats:
    """(DRAWS, len(names)) Poisson(1) numbers."""
    if not names:
        return np.zeros((DRAWS, 0))
    return np.stack([_of_one(name, seed) for name in names], axis=1).astype(np.float64)


@lru_cache(maxsize=20_000)
def _of_one(name: str, seed: int) -> NDArray[np.uint8]:
    entropy = int.from_bytes(hashlib.sha256(f"{seed}|{name}".encode()).digest()[:16])
    return np.random.default_rng(entropy).poisson(1.0, DRAWS).astype(np.uint8)
