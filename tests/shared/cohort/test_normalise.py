"""Gene statistics: sums that add up over sites, and the scales they give."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shared.cohort.normalise import GeneStatistics, gene_sums, normal_scores, public_range

VALUES = np.array([[1, 4], [3, 0], [5, 6]], dtype=np.float32)
OBSERVED = np.array([[True, True], [True, False], [True, True]])


def test_sums_of_three_patients() -> None:
    np.testing.assert_array_equal(gene_sums(VALUES, OBSERVED, 1), [[3, 2], [9, 10], [35, 52]])


def test_a_gene_of_too_few_patients_is_as_if_not_measured() -> None:
    np.testing.assert_array_equal(gene_sums(VALUES, OBSERVED, 3), [[3, 0], [9, 0], [35, 0]])
    assert gene_sums(VALUES, OBSERVED, 4).sum() == 0


def test_values_of_cells_that_were_not_observed_do_not_count() -> None:
    wild = np.where(OBSERVED, VALUES, np.float32(99))
    np.testing.assert_array_equal(gene_sums(wild, OBSERVED, 1), gene_sums(VALUES, OBSERVED, 1))


def test_statistics_of_three_patients() -> None:
    statistics = GeneStatistics.merge([gene_sums(VALUES, OBSERVED, 1)], 2)
    np.testing.assert_allclose(statistics.table, [[3, 5], [np.sqrt(8 / 3), 1]])


def test_a_gene_that_nobody_has_or_that_never_varies_keeps_its_scale() -> None:
    values = np.array([[2, 0], [2, 0]], dtype=np.float32)
    seen = np.array([[True, False], [True, False]])
    np.testing.assert_array_equal(GeneStatistics.merge([gene_sums(values, seen, 1)], 2).table, [[2, 0], [1, 1]])
    np.testing.assert_array_equal(GeneStatistics.merge([], 2).table, [[0, 0], [1, 1]])


@given(
    values=arrays(np.float32, (12, 3), elements=st.floats(-10, 10, width=32)),
    seen=arrays(bool, (12, 3)),
    cuts=st.lists(st.integers(0, 12), max_size=3),
)
def test_sums_of_sites_give_the_statistics_of_all_patients_together(
    values: np.ndarray, seen: np.ndarray, cuts: list[int]
) -> None:
    parts = np.split(np.arange(12), sorted(cuts))
    merged = GeneStatistics.merge([gene_sums(values[rows], seen[rows], 1) for rows in parts], 3).table
    for gene in range(3):
        own = values[seen[:, gene], gene].astype(np.float64)
        sd = own.std() if len(own) else 0.0
        assert merged[0, gene] == pytest.approx(own.mean() if len(own) else 0.0, abs=1e-9)
        if sd > 1e-3:
            assert merged[1, gene] == pytest.approx(sd, abs=1e-6)
        elif sd == 0:
            assert merged[1, gene] == pytest.approx(1.0, abs=1e-3)


def test_z_scores_are_clipped_and_zero_where_not_observed() -> None:
    statistics = GeneStatistics(np.array([[3.0, 0.0], [2.0, 0.5]]))
    scaled = statistics.apply(VALUES, OBSERVED, clip=5.0)
    np.testing.assert_array_equal(scaled, [[-1, 5], [0, 0], [1, 5]])
    assert scaled.dtype == np.float32


@pytest.mark.parametrize(("scale", "low", "high"), [("log2", 0, 20), ("tpm", 0, 20), ("counts", 0, 20), ("z", -10, 10)])
def test_the_public_range_of_each_scale(scale: str, low: float, high: float) -> None:
    values = np.array([[-1e9, 3.5, 1e9]], dtype=np.float32)
    np.testing.assert_array_equal(public_range(scale, values), [[low, 3.5, high]])


def test_normal_scores_of_one_patient() -> None:
    # ranks 2, 1, 3 of three observed genes: quantiles of (rank - 1/2) / 3 = 1/2, 1/6, 5/6
    values = np.array([[5, -2, 7, 100]], dtype=np.float32)
    seen = np.array([[True, True, True, False]])
    np.testing.assert_allclose(normal_scores(values, seen, 5.0), [[0, -0.967422, 0.967422, 0]], atol=1e-6)
    np.testing.assert_allclose(normal_scores(values, seen, 0.5), [[0, -0.5, 0.5, 0]])


def test_normal_scores_of_a_patient_without_genes() -> None:
    assert normal_scores(VALUES, np.zeros_like(OBSERVED), 5.0).sum() == 0


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    every = np.ones((1, 5), bool)
    np.testing.assert_array_equal(normal_scores(np.full((1, 5), 7, np.float32), every, 5.0), np.zeros((1, 5)))
    # ranks 1.5, 4, 1.5, 4, 4 of five: quantiles of 1/5 and 7/10
    scores = normal_scores(np.array([[0, 3, 0, 3, 3]], np.float32), every, 5.0)
    np.testing.assert_allclose(scores, [[-0.841621, 0.524401, -0.841621, 0.524401, 0.524401]], atol=1e-6)


@given(arrays(np.float32, (2, 6), elements=st.floats(-100, 100, width=32), unique=True))
def test_normal_scores_need_the_order_only(values: np.ndarray) -> None:
    seen = np.ones(values.shape, dtype=bool)
    ranks = values.argsort().argsort().astype(np.float32)
    np.testing.assert_array_equal(normal_scores(values, seen, 5.0), normal_scores(ranks, seen, 5.0))
