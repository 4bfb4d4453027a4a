"""Which patients of a site are test patients: computable by the site alone (CONTRACT.md section 5)."""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared.study import Study

__all__ = ["split_patients"]


def split_patients(study: Study, case_ids: Sequence[str], strata: Sequence[int]) -> NDArray[np.bool_]:
    """Mark the test patients of one site.

    Every patient has a place, SHA-256(seed | repeat | fold | case_id); for patient-kfold, which must have the same
    places in every fold, SHA-256(seed | repeat | folds | case_id).

    By stratum (class, or event), the first ceil(test_fraction x n) places of each are test patients; of patient-kfold
    every K-th place. By patient, those whose place lies in the first test_fraction (or in the fold-th of K parts) of
    all possible places are: nobody's side depends on anybody else, as differential privacy of one patient needs.

    Returns
    -------
    (P,) bool
        True for a test patient, in the order of `case_ids`.
    """
    split = study.split
    folded = split.protocol == "patient-kfold"
    salt = f"{study.seed}|{split.repeat}|{'folds' if folded else split.fold}|"
    places = [hashlib.sha256((salt + case_id).encode()).hexdigest() for case_id in case_ids]
    if split.by == "patient":
        parts = [int(place, 16) / 2**256 for place in places]
        chosen = [int(part * split.folds) == split.fold if folded else part < split.test_fraction for part in parts]
        return np.array(chosen, dtype=bool)
    test, before = np.zeros(len(case_ids), dtype=bool), 0
    for stratum in sorted(set(strata)):
        members = sorted((i for i, s in enumerate(strata) if s == stratum), key=places.__getitem__)
        if folded:  # going on where the last stratum ended, so that folds of a site differ by one patient at most
            first = (split.fold - before) % split.folds
            test[members[first :: split.folds]] = True
        else:  # 0.3 x 10 must be 3, whatever the last bit of the product
            test[members[: math.ceil(split.test_fraction * len(members) - 1e-9)]] = True
        before += len(members)
    return test
