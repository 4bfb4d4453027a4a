"""Every patient flips an own coin in every step, and nobody is cut or skipped."""

import numpy as np
import pytest
import torch

from shared.privacy.entropy import Words, keys_of, known_keys, secret_keys, unit
from shared.privacy.sampling import poisson_batches


def taken(patients: int, rate: float, steps: int, keys=secret_keys) -> np.ndarray:
    """Who was in which step: (steps, patients)."""
    found = np.zeros((steps, patients), dtype=bool)
    for step, rows in enumerate(poisson_batches(patients, rate, steps, keys)):
        found[step, rows] = True
        assert len(np.unique(rows)) == len(rows)
    return found


def test_sizes_are_binomial_and_patients_independent_of_one_another() -> None:
    found = taken(40, 0.2, 20_000, known_keys(1, "test"))
    sizes = found.sum(axis=1)
    assert sizes.mean() == pytest.approx(8, abs=5 * (6.4 / 20_000) ** 0.5)
    assert sizes.var() == pytest.approx(6.4, rel=0.05)  # that of independent coins; 0 for batches of fixed size
    assert found.mean(axis=0) == pytest.approx(np.full(40, 0.2), abs=5 * (0.16 / 20_000) ** 0.5)
    assert np.abs(np.corrcoef(found.T) - np.eye(40)).max() < 6 / 20_000**0.5
    assert abs(np.corrcoef(found[:-1].ravel(), found[1:].ravel())[0, 1]) < 5 / found.size**0.5


def test_empty_steps_are_steps() -> None:
    batches = list(poisson_batches(3, 0.05, 500, known_keys(1, "test")))
    empty = sum(len(rows) == 0 for rows in batches)
    assert len(batches) == 500
    assert empty == pytest.approx(500 * 0.95**3, abs=5 * (500 * 0.86 * 0.14) ** 0.5)
    assert all(rows.dtype == np.int64 for rows in batches)


def test_a_batch_far_above_the_mean_is_not_cut() -> None:
    sizes = taken(2000, 0.01, 300, known_keys(2, "test")).sum(axis=1)
    assert sizes.max() > 30  # mean 20, standard deviation 4.4


def test_with_a_rate_of_one_everybody_is_in_every_step() -> None:
    assert taken(7, 1.0, 50).all()


def test_a_site_without_patients_still_steps() -> None:
    assert [len(rows) for rows in poisson_batches(0, 0.5, 3)] == [0, 0, 0]


def test_seeds_do_not_change_who_is_drawn() -> None:
    found = []
    for _ in range(2):
        torch.default_generator.manual_seed(42)
        np.random.seed(42)  # noqa: NPY002
        found.append(taken(50, 0.5, 20))
    assert (found[0] != found[1]).any()


def test_the_entropy_of_a_simulation_repeats_and_is_not_that_of_its_noise() -> None:
    one, same, other = (taken(50, 0.5, 20, keys_of("test-seeded", seed, "sampling")) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()
    assert (one != taken(50, 0.5, 20, keys_of("test-seeded", 1, "noise"))).any()
    assert keys_of("chacha20", 1, "sampling") is secret_keys
    with pytest.raises(ValueError, match="expected a seed with noise_source = test-seeded, got none"):
        keys_of("test-seeded", None, "sampling")


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.01, float("nan")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=r"expected a rate in \(0, 1\], got .*; take it from the study"):
        poisson_batches(5, rate, 1)


def test_words_are_the_chacha20_stream_of_rfc_8439() -> None:
    words = np.empty(4, dtype=np.uint64)
    Words(lambda: bytes(32)).fill(words)
    # appendix A.1, test vector 1: key, nonce and block counter all zero
    assert words.tobytes().hex() == "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"


def test_units_are_the_upper_53_bits() -> None:
    words = np.array([0, 2**11 - 1, 2**11, 2**63, 2**64 - 1], dtype=np.uint64)
    assert unit(words).tolist() == [0.0, 0.0, 2.0**-53, 0.5, 1 - 2.0**-53]
