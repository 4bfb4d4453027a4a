"""A site that lacks a modality does not dilute its branch; one that is alone with it does not decide it."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest

import server.updates
from server.strategies.per_branch import PerBranch, branch_weights
from shared.messages import TrainReply
from shared.weights import Arrays
from tests.federation import tiny_study
from tests.server.updates import collected, ones, update

START = 10.0
A = update("A", {"slides": 10, "fusion": 10}, ones(START + 1, ["slides"]))
B = update("B", {"slides": 30, "expression": 30, "fusion": 30}, ones(START + 3, ["slides", "expression"]))
C = update("C", {"expression": 10, "fusion": 10, "blood": 10}, ones(START + 5, ["expression", "blood"]))


def strategy(name: str = "fedavg", branch_quorum: int = 2) -> PerBranch:
    return PerBranch(tiny_study(federation={"strategy": name, "branch_quorum": branch_quorum}))


def aggregated(replies: list[TrainReply], **kind: Any) -> tuple[Arrays, list[str]]:
    return result(strategy(**kind), 1, ones(START), replies)


def result(plan: PerBranch, round_: int, current: Arrays, replies: list[TrainReply]) -> tuple[Arrays, list[str]]:
    with collected(replies) as updates:
        return plan.aggregate(round_, current, updates)


def last_record(replies: list[TrainReply]) -> dict[str, Any]:
    weights = branch_weights(replies)
    return {"sites": {r.site: {} for r in replies}, "patients": {b: sum(w) for b, w in weights.items()}}


def bits(arrays: Arrays) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in arrays.items()}


def rough(seed: int, held: list[str]) -> Arrays:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=array.shape).astype(np.float32) for name, array in ones(0, held).items()}


ROUGH = [
    update("A", {"slides": 7, "fusion": 11}, rough(1, ["slides"])),
    update("B", {"slides": 31, "expression": 29, "fusion": 31}, rough(2, ["slides", "expression"])),
    update("C", {"expression": 13, "blood": 17, "fusion": 17}, rough(3, ["expression", "blood"])),
    update("D", {"slides": 3, "fusion": 5}, rough(4, ["slides"])),
]


def test_the_example_worked_out_by_hand() -> None:
    # D never answered. slides (10*1 + 30*3)/40, expression (30*3 + 10*5)/40, fusion (10 + 90 + 50)/50
    new, kept = aggregated([A, B, C])
    assert {name: float(array.flat[0]) - START for name, array in new.items()} == {
        "branches.slides.w": 2.5,
        "branches.expression.w": 3.5,
        "branches.blood.w": 0.0,
        "head.w": 3.0,
    }
    assert kept == ["blood"]
    assert all((array == array.flat[0]).all() and array.dtype == np.float32 for array in new.values())


def test_a_branch_below_its_quorum_keeps_its_arrays_bit_for_bit() -> None:
    current = rough(9, ["slides", "expression", "blood"])
    new, kept = result(strategy(), 1, current, ROUGH)
    assert kept == ["blood"]
    assert new["branches.blood.w"].tobytes() == current["branches.blood.w"].tobytes()
    assert new["branches.slides.w"].tobytes() != current["branches.slides.w"].tobytes()


def test_a_quorum_of_one_lets_a_single_site_decide() -> None:
    new, kept = aggregated([A, B, C], branch_quorum=1)
    assert float(new["branches.blood.w"].flat[0]) == START + 5
    assert kept == []


def test_all_branches_can_be_kept() -> None:
    new, kept = aggregated([A, B, C], branch_quorum=4)
    assert bits(new) == bits(ones(START))
    assert kept == ["blood", "expression", "fusion", "slides"]


def test_without_a_modality_at_one_site_its_branch_is_the_mean_of_the_others() -> None:
    everyone = [
        update(site, {"slides": n, "fusion": n}, rough(n, ["slides"])) for site, n in zip("ABC", (5, 8, 9), strict=True)
    ]
    without = update("B", {"fusion": 8}, rough(8, []))
    new, _ = aggregated([everyone[0], without, everyone[2]])
    others, _ = aggregated([everyone[0], everyone[2]])
    all_three, _ = aggregated(everyone)
    assert new["branches.slides.w"].tobytes() == others["branches.slides.w"].tobytes()
    assert not np.array_equal(new["head.w"], others["head.w"])
    assert not np.array_equal(new["branches.slides.w"], all_three["branches.slides.w"])


@pytest.mark.parametrize("memory", [2**20, 40, 0])
def test_the_same_bits_streamed_or_kept_in_memory_or_on_disk(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    current = rough(9, ["slides", "expression", "blood"])
    expected = bits(result(strategy(), 1, current, ROUGH)[0])
    monkeypatch.setattr(server.updates, "MEMORY", memory)
    assert bits(result(strategy(), 1, current, ROUGH)[0]) == expected
    plan = strategy()
    for order in permutations(ROUGH):
        with plan.collect(current, "ABCD", last_record(ROUGH)) as updates:
            assert updates.running is not None
            for reply in order:
                updates.add(reply)
            assert bits(plan.aggregate(2, current, updates)[0]) == expected


@pytest.mark.parametrize("memory", [2**20, 0])
@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_a_site_that_falls_out_of_a_streamed_round(monkeypatch: pytest.MonkeyPatch, memory: int, gone: int) -> None:
    monkeypatch.setattr(server.updates, "MEMORY", memory)
    current = rough(9, ["slides", "expression", "blood"])
    left = [reply for i, reply in enumerate(ROUGH) if i != gone]
    exact, kept = result(strategy(), 2, current, left)
    results = []
    for order in permutations(left):
        plan = strategy()
        with plan.collect(current, "ABCD", last_record(ROUGH)) as updates:
            for reply in order:
                updates.add(reply)
            streamed, kept_too = plan.aggregate(2, current, updates)
        assert kept_too == kept
        for name, array in exact.items():
            np.testing.assert_allclose(streamed[name], array, rtol=1e-6, atol=1e-6)
        results.append(bits(streamed))
    assert all(result == results[0] for result in results)


def test_updates_are_streamed_only_when_the_same_sites_are_asked_again() -> None:
    last = last_record(ROUGH)
    assert strategy().collect(ones(), "ABCD", None).running is None
    assert strategy().collect(ones(), "ABC", last).running is None
    assert strategy().collect(ones(), "DCBA", last).running is not None
    assert strategy("fedprox").collect(ones(), "DCBA", last).running is not None
    assert strategy("fedadam").collect(ones(), "ABCD", last).running is None


@pytest.mark.usefixtures("flower_ids")
def test_another_rule_keeps_the_lonely_branch_too() -> None:
    new, kept = aggregated([A, B, C], name="fedadam")
    assert kept == ["blood"]
    assert new["branches.blood.w"].tobytes() == ones(START)["branches.blood.w"].tobytes()
    # Adam's first step is eta, whatever the size of the difference
    assert float(new["branches.slides.w"].flat[0]) == pytest.approx(
        START + 0.01 * np.sqrt(1 - 0.99**2) / 0.19 * 0.25 / (0.25 + 1e-3), abs=1e-5
    )


@pytest.mark.usefixtures("flower_ids")
def test_the_moments_of_every_branch_survive() -> None:
    start, current = ones(START), ones(START)
    undisturbed, killed = strategy("fedadam"), strategy("fedadam")
    current, _ = result(undisturbed, 1, start, [A, B, C])
    result(killed, 1, start, [A, B, C])
    assert {name.rsplit("/", 1)[0] for name in killed.state()} == {
        f"{branch}/{moment}" for branch in ("slides", "expression", "fusion") for moment in ("m_t", "v_t")
    }
    resumed = strategy("fedadam")
    resumed.restore({name: array.copy() for name, array in killed.state().items()})
    for round_ in (2, 3):
        one, _ = result(undisturbed, round_, current, [A, B, C])
        two, _ = result(resumed, round_, current, [A, B, C])
        assert bits(one) == bits(two)
        current = one


def test_fedavg_has_no_state() -> None:
    assert strategy().state() == {}


NORM: Arrays = {"norm.running_var": np.array([1.0, 4.0], np.float32)}


@pytest.mark.usefixtures("flower_ids")
@pytest.mark.parametrize("name", ["fedavgm", "fedadam", "fedyogi", "fedmedian", "fedtrimmedavg", "krum"])
def test_running_statistics_are_averaged_whatever_the_strategy(name: str) -> None:
    options = {"fedtrimmedavg": {"beta": 0.4}}.get(name, {})
    plan = PerBranch(tiny_study(federation={"strategy": name, "strategy_options": options}))
    replies = [
        update(site, {"fusion": n}, {**rough(n, []), "norm.running_var": np.array([1.0, value], np.float32)})
        for site, n, value in (("A", 10, 1.0), ("B", 20, 4.0), ("C", 10, 3.0))
    ]
    new, kept = result(plan, 1, {**rough(9, []), **NORM}, replies)
    assert kept == []
    assert new["norm.running_var"].tolist() == [1.0, 3.0]
    assert not any("running_var" in key for key in plan.state())


@pytest.mark.usefixtures("flower_ids")
@pytest.mark.parametrize("name", ["fedmedian", "krum"])
def test_with_two_holders_a_robust_rule_keeps_the_branch(name: str) -> None:
    plan = PerBranch(tiny_study(federation={"strategy": name}))
    current = rough(9, ["slides", "expression", "blood"])
    new, kept = result(plan, 1, current, ROUGH)
    assert kept == ["blood", "expression"]  # one and two holders
    for branch in kept:
        assert new[f"branches.{branch}.w"].tobytes() == current[f"branches.{branch}.w"].tobytes()
    assert new["branches.slides.w"].tobytes() != current["branches.slides.w"].tobytes()


def test_fedbn_averages_at_the_server() -> None:
    layered = tiny_study(model={"architecture": "s1_crossattn", "dim": 8, "heads": 2}, federation={"strategy": "fedbn"})
    assert bits(result(PerBranch(layered), 1, ones(START), ROUGH)[0]) == bits(aggregated(ROUGH)[0])
