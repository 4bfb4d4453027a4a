"""What hospitals add up is what one pile of patients would have given: against other libraries, on drawn patients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.utils import concordance_index
from sklearn.metrics import roc_auc_score

from shared.metrics import Scored, Statistics
from tests.shared.metrics.test_statistics import by_site


@settings(max_examples=40)
@given(
    n=st.integers(400, 900),
    shift=st.floats(0, 4),
    centre=st.floats(-2, 2),
    sites=st.integers(1, 6),
    seed=st.integers(0, 2**20),
)
def test_histogram_auc_is_that_of_sklearn(n: int, shift: float, centre: float, sites: int, seed: int) -> None:
    """Logits of two normal distributions, however far apart they are; fewer than 300 patients share bins by chance."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([[0, 1], rng.integers(0, 2, n - 2)])
    p = 1 / (1 + np.exp(-(centre + shift * (y - 0.5) + rng.normal(0, 1, n))))
    names = rng.choice([f"S{i}" for i in range(sites)], n)
    scored = Scored("classification", np.stack([1 - p, p], 1), y, np.zeros(n), np.zeros(n, int), names)
    assert by_site(scored).result()["auc"] == pytest.approx(roc_auc_score(y, p), abs=0.002)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(1, 30), st.booleans(), st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 1.0])),
        min_size=8,
        max_size=60,
    )
)
def test_the_c_index_of_one_hospital_is_that_of_lifelines(people: list[tuple[int, bool, float]]) -> None:
    """Exactly, ties in months and in risk included."""
    time, died, survival = (np.array(column) for column in zip(*people, strict=True))
    zeros, site = np.zeros(len(people)), np.full(len(people), "A")
    scores = np.stack([survival, zeros], 1)
    scored = Scored("survival", scores, zeros.astype(int), time.astype(float), died.astype(int), site, (12.0,))
    found = Statistics.of(scored).result()["c_index_within_site"]
    if died.sum() < 5:
        assert found is None
        return
    try:
        expected = concordance_index(time, survival, died)
    except ZeroDivisionError:  # no pair to compare
        assert found is None
    else:
        assert found == pytest.approx(expected, abs=1e-12)
