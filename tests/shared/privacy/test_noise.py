"""The noise is normal, of the right size, and nobody else's."""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import nn

from shared.privacy.noise import BLOCK, Ahead, ChaCha20, noise_source
from shared.privacy.optimizer import PrivateOptimizer

CPU = torch.device("cpu")
SOURCES = ["chacha20", "os-seeded", "test-seeded"]


def drawn(name: str, count: int, seed: int | None = 3) -> np.ndarray:
    return noise_source(name, seed).standard_normal(count, CPU).numpy()


@pytest.mark.parametrize("name", SOURCES)
def test_values_are_standard_normal(name: str) -> None:
    values = drawn(name, 3 * BLOCK + 11)
    assert values.dtype == np.float32
    assert kstest(values, "norm").pvalue > 1e-4
    assert kstest(values[values > 0], "halfnorm").pvalue > 1e-4
    assert kstest(np.abs(values[:BLOCK]), "halfnorm").pvalue > 1e-4


@pytest.mark.parametrize("name", SOURCES)
def test_the_tails_are_as_heavy_as_they_should_be(name: str) -> None:
    values = drawn(name, 4_000_000)
    for bound, share in ((3, 2.6998e-3), (4, 6.334e-5)):  # P(|x| > bound)
        expected = share * len(values)
        assert (np.abs(values) > bound).sum() == pytest.approx(expected, abs=5 * expected**0.5)
    assert np.abs(values).max() < 8.6


def test_the_two_values_of_a_pair_do_not_depend_on_each_other() -> None:
    # they stand half a block apart; a wrong sign or radius would show in a product of even or odd powers
    values = drawn("chacha20", 20 * BLOCK).astype(np.float64).reshape(20, 2, BLOCK // 2)
    first, second = values[:, 0].ravel(), values[:, 1].ravel()
    bound = 5 / np.sqrt(len(first))
    for a, b in ((1, 1), (1, 2), (2, 1), (2, 2), (3, 1)):
        scale = np.std(first**a) * np.std(second**b)
        assert abs(np.mean(first**a * second**b) - np.mean(first**a) * np.mean(second**b)) < bound * scale
    neighbours = np.corrcoef(values[0, 0, :-1], values[0, 0, 1:])[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(BLOCK // 2)


@pytest.mark.parametrize("name", ["chacha20", "os-seeded"])
def test_the_released_noise_has_the_deviation_sigma_times_clip(name: str) -> None:
    weight = nn.Parameter(torch.zeros(2000))
    noise = noise_source(name)
    optimizer = PrivateOptimizer(
        torch.optim.SGD([weight], lr=0.0), sigma=2.5, clip=0.4, expected_batch=1.0, noise=noise
    )
    steps = []
    for _ in range(200):
        optimizer.zero_grad()
        weight.grad_sample = torch.zeros(0, 2000)
        optimizer.step()
        steps.append(weight.grad.numpy().copy())
    released = np.stack(steps)  # 400,000 values: the deviation is known to .11 %
    assert released.std() == pytest.approx(2.5 * 0.4, rel=0.01)
    assert abs(released.mean()) < 5 / np.sqrt(released.size)
    assert kstest(released.ravel(), "norm").pvalue > 1e-4
    assert abs(np.corrcoef(released[:-1].ravel(), released[1:].ravel())[0, 1]) < 5 / np.sqrt(released.size)


SITE = """
import json, numpy, random, torch
random.seed(42), numpy.random.seed(42), torch.manual_seed(42)
from shared.privacy.noise import noise_source
draw = lambda name: noise_source(name, 42).standard_normal(8, torch.device("cpu")).tolist()
print(json.dumps({name: draw(name) for name in ("chacha20", "os-seeded", "test-seeded")}))
"""


@pytest.mark.slow
def test_two_sites_with_the_same_seeds_draw_different_noise() -> None:
    processes = [subprocess.Popen([sys.executable, "-c", SITE], stdout=subprocess.PIPE) for _ in range(2)]
    one, other = (json.loads(process.communicate()[0]) for process in processes)
    assert set(one["chacha20"]).isdisjoint(other["chacha20"])
    assert set(one["os-seeded"]).isdisjoint(other["os-seeded"])
    assert one["test-seeded"] == other["test-seeded"]  # why it is for public data alone


@pytest.mark.parametrize("name", SOURCES)
def test_the_global_random_state_is_neither_read_nor_moved(name: str) -> None:
    found = []
    for _ in range(2):
        torch.default_generator.manual_seed(42)
        before = torch.get_rng_state()
        found.append(drawn(name, 8, seed=len(found)))
        assert torch.equal(torch.get_rng_state(), before)
    assert not np.array_equal(*found)


def test_the_seed_of_a_simulation_repeats_all_draws_and_no_draw_repeats_another() -> None:
    sources = [noise_source("test-seeded", seed) for seed in (7, 7, 8)]
    one, same, other = ([source.standard_normal(5, CPU) for _ in range(2)] for source in sources)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one[0], other[0])


@pytest.mark.parametrize("count", [0, 1, BLOCK // 2, BLOCK // 2 + 1, BLOCK, BLOCK + 3])
def test_any_number_of_values(count: int) -> None:
    values = drawn("chacha20", count)
    assert len(values) == count
    assert len(np.unique(values)) >= 0.99 * count  # no block twice


def test_a_source_that_is_not_known_or_has_no_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="expected chacha20, os-seeded or test-seeded, got 'gauss'; choose"):
        noise_source("gauss")
    with pytest.raises(ValueError, match="expected a seed with noise_source = test-seeded, got none; give"):
        noise_source("test-seeded")


def test_noise_drawn_ahead_is_the_same_and_comes_from_another_thread() -> None:
    threads = []

    class Watched(ChaCha20):
        def standard_normal(self, count: int, device: torch.device) -> torch.Tensor:
            threads.append(threading.current_thread())
            return super().standard_normal(count, device)

    straight = noise_source("test-seeded", 1)
    source = Watched(noise_source("test-seeded", 1)._keys)
    with Ahead(source, 9, CPU, draws=3) as ahead:
        for _ in range(3):
            assert torch.equal(ahead.standard_normal(9, CPU), straight.standard_normal(9, CPU))
        with pytest.raises(ValueError, match="expected 0 more draws of 9 values on cpu, got one of 9 on cpu; announce"):
            ahead.standard_normal(9, CPU)
    assert len(threads) == 3
    assert threading.main_thread() not in threads
    assert not threads[0].is_alive()


def test_another_number_of_values_than_announced_is_refused() -> None:
    refused = pytest.raises(ValueError, match="expected 3 more draws of 9 values on cpu, got one of 8 on cpu")
    with Ahead(ChaCha20(), 9, CPU, draws=3) as ahead, refused:
        ahead.standard_normal(8, CPU)


def test_what_goes_wrong_in_the_thread_is_raised_where_the_noise_is_asked_for() -> None:
    def broken() -> bytes:
        raise OSError("no entropy")

    with Ahead(ChaCha20(broken), 9, CPU, draws=1) as ahead, pytest.raises(OSError, match="no entropy"):
        ahead.standard_normal(9, CPU)
