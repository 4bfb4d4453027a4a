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

    Every patient has a place, SHA-256(seed | repeat | fold | case_id). By stratum, the first ceil(test_fraction x n)
    of each stratum (class, or event) are test patients. By patient, those whose place lies in the first test_fraction
    of all places are: nobody's side depends on anybody else, as differential privacy of one patient needs.

    Returns
    -------
    (P,) bool
        True for a test patient, in the order of `case_ids`.
    """
    split = study.split
    salt = f"{study.seed}|{split.repeat}|{split.fold}|"
    places = [hashlib.sha256((salt + case_id).encode()).hexdigest() for case_id in case_ids]
    if split.by == "patient":
        return np.array([int(place, 16) < split.test_fraction * 2**256 for place in places], dtype=bool)
    test = np.zeros(len(case_ids), dtype=bool)
    for stratum in sorted(set(strata)):
        members = sorted((i for i, s in enumerate(strata) if s == stratum), key=places.__getitem__)
        # 0.3 x 10 must be 3, whatever the last bit of the product
        test[members[: math.ceil(split.test_fraction * len(members) - 1e-9)]] = True
    return test
