"""Hospitals dealt to folds: never in two, and as even as brute force can make it."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulations.preserved_sites import assign_sites, imbalance

Integers = NDArray[np.int64]


def least(counts: Integers, folds: int) -> int:
    """By trying every assignment that leaves no fold empty."""
    every = product(range(folds), repeat=len(counts))
    return min(imbalance(counts, np.array(fold), folds) for fold in every if len(set(fold)) == folds)


def greedy(counts: Integers, folds: int) -> int:
    """Large sites first, each into the fold that has fewest patients."""
    fold, sizes = np.zeros(len(counts), dtype=np.int64), np.zeros(folds)
    for site in np.argsort(-counts.sum(axis=1)):
        fold[site] = sizes.argmin()
        sizes[fold[site]] += counts[site].sum()
    return imbalance(counts, fold, folds)


def drawn(sites: int, classes: int, patients: int, seed: int) -> Integers:
    """Sites of very different sizes and mixtures, as those of TCGA are."""
    rng = np.random.default_rng(seed)
    sizes = np.round(rng.dirichlet(np.full(sites, 0.7)) * patients).astype(int) + 1
    return np.array([rng.multinomial(size, rng.dirichlet(np.ones(classes))) for size in sizes])


def test_imbalance_is_the_sum_of_squares_of_the_definition() -> None:
    counts = np.array([[4, 0], [1, 3], [2, 2]])
    # 2 folds of 7 and 5: folds {0}, {1, 2} -> 2 x 4 - 7 = 1, 2 x 0 - 5 = -5, 2 x 3 - 7 = -1, 2 x 5 - 5 = 5
    assert imbalance(counts, np.array([0, 1, 1]), 2) == 1 + 25 + 1 + 25


@settings(max_examples=25)
@given(st.integers(3, 7), st.integers(1, 3), st.integers(2, 3), st.integers(0, 10_000))
def test_small_tables_get_the_optimum_and_its_proof(sites: int, classes: int, folds: int, seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 15, (sites, classes))
    found = assign_sites(counts, folds)
    assert set(found.fold.tolist()) == set(range(folds))
    assert found.imbalance == imbalance(counts, found.fold, folds) == least(counts, folds)
    assert found.proven


@pytest.mark.slow
@pytest.mark.parametrize(("sites", "classes", "folds"), [(40, 3, 3), (28, 5, 3)])
def test_a_cohort_of_tcga_size_is_all_but_proven(sites: int, classes: int, folds: int) -> None:
    counts = drawn(sites, classes, 1100, 0)
    found = assign_sites(counts, folds)
    assert 0.95 * found.imbalance <= found.bound <= found.imbalance
    assert found.imbalance <= greedy(counts, folds)


@pytest.mark.slow
def test_an_answer_without_proof_says_how_far_it_may_be() -> None:
    counts = drawn(40, 4, 1100, 1)
    found = assign_sites(counts, 5, nodes=1)
    assert 0 <= found.bound < found.imbalance <= greedy(counts, 5)
    assert not found.proven


def test_the_same_seed_gives_the_same_folds() -> None:
    counts = drawn(30, 3, 500, 2)
    first, again = (assign_sites(counts, 4, seed=3, nodes=5).fold for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_fewer_sites_than_folds_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 to 3 folds, got 4"):
        assign_sites(np.ones((3, 2), dtype=np.int64), 4)
