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

    Inside each stratum (class, or event) patients are ordered by SHA-256(seed | repeat | fold | case_id); the first
    ceil(test_fraction x n) are test patients.

    Returns
    -------
    (P,) bool
        True for a test patient, in the order of `case_ids`.
    """
    salt = f"{study.seed}|{study.split.repeat}|{study.split.fold}|"
    order = [hashlib.sha256((salt + case_id).encode()).hexdigest() for case_id in case_ids]
    test = np.zeros(len(case_ids), dtype=bool)
    for stratum in sorted(set(strata)):
        members = sorted((i for i, s in enumerate(strata) if s == stratum), key=order.__getitem__)
        # 0.3 x 10 must be 3, whatever the last bit of the product
        test[members[: math.ceil(study.split.test_fraction * len(members) - 1e-9)]] = True
    return test
