"""FedAvg: Flower's formula bit for bit, whatever waits where."""

import numpy as np
import pytest
from flwr.app import MetricRecord, RecordDict
from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords
from hypothesis import given
from hypothesis import strategies as st

import server.strategies.mean
from server.strategies.mean import RunningMean
from shared.arrays import from_record, to_record
from shared.messages import branch_of
from shared.weights import Arrays
from tests.server.updates import ones


def by_flower(sites: list[tuple[dict[str, int], Arrays]]) -> Arrays:
    """Flower's own formula, each branch by itself over the sites that hold it."""
    result: Arrays = {}
    for branch in {branch for patients, _ in sites for branch in patients}:
        records = [
            RecordDict(
                {
                    "arrays": to_record({n: a for n, a in arrays.items() if branch_of(n) == branch}),
                    "metrics": MetricRecord({"patients": patients[branch]}),
                }
            )
            for patients, arrays in sites
            if branch in patients
        ]
        result |= from_record(aggregate_arrayrecords(records, "patients"))
    return result


def totals(sites: list[tuple[dict[str, int], Arrays]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for patients, _ in sites:
        for branch, count in patients.items():
            found[branch] = found.get(branch, 0) + count
    return found


@st.composite
def federations(draw: st.DrawFn) -> list[tuple[dict[str, int], Arrays]]:
    """Two to six sites that hold slides, expression, both or neither, with random weights and values."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    widths = {"slides": draw(st.integers(1, 40)), "expression": draw(st.integers(1, 40)), "fusion": 5}
    spread = draw(st.sampled_from([1e-6, 1.0, 1e4]))
    sites = []
    for _ in range(draw(st.integers(2, 6))):
        held = [*draw(st.sets(st.sampled_from(["slides", "expression"]))), "fusion"]
        patients = {branch: draw(st.integers(1, 5000)) for branch in held}
        arrays = {
            "head.w" if branch == "fusion" else f"branches.{branch}.w": rng.normal(size=(widths[branch], 3)).astype(
                np.float32
            )
            * np.float32(spread)
            for branch in held
        }
        sites.append((patients, arrays))
    return sites


def mean_of(sites: list[tuple[dict[str, int], Arrays]], expected: dict[str, int]) -> Arrays:
    current = {name: np.zeros_like(array) for _, arrays in sites for name, array in arrays.items()}
    mean = RunningMean(expected, current)
    for patients, arrays in sites:
        mean.add(patients, arrays)
    return mean.result()


def same_bits(one: Arrays, two: Arrays) -> bool:
    return set(one) == set(two) and all(
        one[name].dtype == two[name].dtype and one[name].tobytes() == two[name].tobytes() for name in one
    )


@given(federations())
def test_the_mean_is_flowers_bit_for_bit(sites: list[tuple[dict[str, int], Arrays]]) -> None:
    assert same_bits(mean_of(sites, totals(sites)), by_flower(sites))


def test_arrays_longer_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.strategies.mean, "CHUNK", 7)
    rng = np.random.default_rng(0)
    sites = [({"fusion": n}, {"head.w": rng.normal(size=(5, 9)).astype(np.float32)}) for n in (3, 11, 5)]
    assert same_bits(mean_of(sites, {"fusion": 19}), by_flower(sites))


@given(federations(), st.data())
def test_without_an_expected_site_the_sum_is_rescaled(
    sites: list[tuple[dict[str, int], Arrays]], data: st.DataObject
) -> None:
    gone = data.draw(st.integers(0, len(sites) - 1))
    left = [site for i, site in enumerate(sites) if i != gone]
    mean = mean_of(left, totals(sites))
    exact = by_flower(left)
    assert set(mean) == set(exact)
    for name, array in exact.items():
        size = max(float(np.abs(arrays[name]).max()) for _, arrays in left if name in arrays)
        np.testing.assert_allclose(mean[name], array, rtol=1e-6, atol=2e-6 * size)


def test_a_branch_that_is_not_wanted_is_not_added() -> None:
    mean = RunningMean({"fusion": 4}, ones())
    mean.add({"fusion": 4, "slides": 4}, ones(2.0, ["slides"]))
    assert set(mean.result()) == {"head.w"}


def test_the_sites_own_arrays_are_not_changed() -> None:
    arrays = [ones(value) for value in (1.0, 3.0)]
    mean = RunningMean({"fusion": 2, "slides": 2, "expression": 2, "blood": 2}, ones())
    for one in arrays:
        mean.add({"fusion": 1, "slides": 1, "expression": 1, "blood": 1}, one)
    assert (mean.result()["head.w"] == 2.0).all()
    assert [float(one["head.w"][0, 0]) for one in arrays] == [1.0, 3.0]
