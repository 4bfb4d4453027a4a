"""The seam: a Flower strategy behind it does what it does by itself."""

from types import SimpleNamespace

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdam

from server.strategies.flower import BUILDERS, FlowerRule
from shared.arrays import from_record, to_record
from shared.strategy_names import STRATEGIES
from shared.study import Federation
from shared.weights import Arrays

pytestmark = pytest.mark.usefixtures("flower_ids")
OPTIONS = {"eta": 0.05, "beta_1": 0.8, "tau": 1e-2}


def drawn(seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    return {"w": rng.normal(size=(3, 2)).astype(np.float32), "b": rng.normal(size=2).astype(np.float32)}


def rounds(count: int) -> list[list[tuple[int, Arrays]]]:
    return [[(n, drawn(10 * r + n)) for n in (3, 5)] for r in range(count)]


def by_flower(start: Arrays, updates: list[list[tuple[int, Arrays]]]) -> Arrays:
    """FedAdam as Flower's own loop calls it."""
    adam = FedAdam(
        weighted_by_key="n",
        min_train_nodes=2,
        min_available_nodes=2,
        eta=0.05,
        beta_1=0.8,
        tau=1e-2,
        fraction_evaluate=0,
    )
    grid = SimpleNamespace(get_node_ids=lambda: [1, 2])
    arrays = to_record(start)
    for round_, sites in enumerate(updates, start=1):
        orders = list(adam.configure_train(round_, arrays, ConfigRecord(), grid))  # type: ignore[arg-type]
        replies = [
            Message(RecordDict({"arrays": to_record(a), "metrics": MetricRecord({"n": n})}), reply_to=order)
            for order, (n, a) in zip(orders, sites, strict=True)
        ]
        found, _ = adam.aggregate_train(round_, replies)
        assert found is not None
        arrays = found
    return from_record(arrays)  # type: ignore[return-value]


def by_rule(rule: FlowerRule, current: Arrays, updates: list[list[tuple[int, Arrays]]], first: int = 1) -> Arrays:
    for round_, sites in enumerate(updates, start=first):
        current = rule.aggregate(round_, current, sites)
    return current


def test_fedadam_through_the_seam_is_flowers_fedadam() -> None:
    rule = FlowerRule(Federation(strategy="fedadam", strategy_options=OPTIONS))
    direct = by_flower(drawn(0), rounds(1))
    through = by_rule(rule, drawn(0), rounds(1))
    assert all(np.array_equal(through[name], direct[name].astype(np.float32)) for name in direct)
    later = by_flower(drawn(0), rounds(5))
    for name, array in by_rule(rule, through, rounds(5)[1:], first=2).items():
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, later[name], rtol=1e-5, atol=1e-6)  # Flower goes on in float64


ADAPTIVE = {"fedavgm": {"server_learning_rate": 0.7}, "fedadam": OPTIONS, "fedyogi": {"eta": 0.05}}


@pytest.mark.parametrize("strategy", ADAPTIVE)
def test_the_moments_survive_a_restart(strategy: str) -> None:
    federation = Federation(strategy=strategy, strategy_options=ADAPTIVE[strategy])
    undisturbed, killed, resumed = FlowerRule(federation), FlowerRule(federation), FlowerRule(federation)
    assert killed.state() == {}
    current = by_rule(killed, drawn(0), rounds(2))
    kept = {name: array.copy() for name, array in sorted(killed.state().items(), reverse=True)}  # files have no order
    resumed.restore(kept)
    expected = by_rule(undisturbed, drawn(0), rounds(4))
    for name, array in by_rule(resumed, current, rounds(4)[2:], first=3).items():
        assert array.tobytes() == expected[name].tobytes()


@pytest.mark.parametrize("strategy", ADAPTIVE)
def test_without_its_moments_it_goes_another_way(strategy: str) -> None:
    federation = Federation(strategy=strategy, strategy_options=ADAPTIVE[strategy])
    expected = by_rule(FlowerRule(federation), drawn(0), rounds(4))
    current = by_rule(FlowerRule(federation), drawn(0), rounds(2))
    forgetful = by_rule(FlowerRule(federation), current, rounds(4)[2:], first=3)
    assert not np.allclose(forgetful["w"], expected["w"], atol=1e-4)


def one_round(strategy: str, values: list[float], weights: list[int] | None = None, **options: float) -> float:
    """What becomes of a model of one number, at 0 before, when the sites send `values`."""
    rule = FlowerRule(Federation(strategy=strategy, strategy_options=options))
    sites = zip(weights or [1] * len(values), values, strict=True)
    updates = [(n, {"w": np.array([value], np.float32)}) for n, value in sites]
    return float(rule.aggregate(1, {"w": np.zeros(1, np.float32)}, updates)["w"][0])


def test_momentum_adds_up_over_rounds() -> None:
    rule = FlowerRule(Federation(strategy="fedavgm", strategy_options={"server_momentum": 0.5}))
    places = [0.0]
    for round_ in (1, 2, 3):  # the sites always ask for one step of 1; Hsu et al. 2019: v = 0.5 v + step
        sites = [(1, {"w": np.array([places[-1] + 1], np.float32)})]
        places.append(float(rule.aggregate(round_, {"w": np.array([places[-1]], np.float32)}, sites)["w"][0]))
    assert places == [0.0, 1.0, 2.5, 4.25]


def test_the_first_adaptive_step_by_hand() -> None:
    # delta 1: m = 0.1, v = 0.01 (Adam), v = -(1 - 0.99) sign(0 - 1) = 0.01 (Yogi); step eta m / (sqrt v + tau)
    assert one_round("fedyogi", [1.0], eta=0.5, tau=0.1) == pytest.approx(0.5 * 0.1 / 0.2, rel=1e-6)
    # Flower's Adam corrects its bias, with the powers of the round that follows
    corrected = (1 - 0.99**2) ** 0.5 / (1 - 0.9**2)
    assert one_round("fedadam", [1.0], eta=0.5, tau=0.1) == pytest.approx(corrected * 0.5 * 0.1 / 0.2, rel=1e-6)


def test_a_median_does_not_follow_one_site() -> None:
    assert one_round("fedmedian", [1.0, 1e6, 2.0], [5, 5000, 5]) == 2.0
    assert one_round("fedmedian", [1.0, 3.0, 4.0, -1e6]) == 2.0


def test_a_trimmed_mean_leaves_out_both_ends() -> None:
    assert one_round("fedtrimmedavg", [1.0, -1e6, 2.0, 1e6, 6.0], [5, 5, 1, 500, 1]) == 3.0
    assert one_round("fedtrimmedavg", [1.0, 5.0, 1e6], beta=0.34) == 5.0


def test_krum_takes_the_site_with_the_nearest_neighbours() -> None:
    assert one_round("krum", [0.0, 1.0, 1.1, 1.3, 1e6], num_malicious_nodes=1) == pytest.approx(1.1)
    # the two best, weighted by patients
    selected = one_round(
        "krum", [0.0, 1.0, 1.2, 1.5, 1e6], [1, 1, 3, 1, 1], num_malicious_nodes=1, num_nodes_to_select=2
    )
    assert selected == pytest.approx((1.0 + 3 * 1.2) / 4)


def test_krum_tells_near_models_of_large_norm_apart() -> None:
    rule = FlowerRule(Federation(strategy="krum"))
    base = np.random.default_rng(0).normal(size=100_000).astype(np.float32) * 100
    steps = [0.05, 0.0, 0.02]  # distances far below the rounding of ||x||^2 = 1e9 in fp32
    moved = [base + np.float32(step) * np.sign(base) for step in steps]
    new = rule.aggregate(1, {"w": base}, [(1, {"w": array}) for array in moved])
    assert new["w"].tobytes() == moved[1].tobytes() or new["w"].tobytes() == moved[2].tobytes()


def test_flower_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="flwr")
    one_round("fedadam", [1.0])
    assert caplog.records == []


def test_integer_buffers_stay_integers() -> None:
    rule = FlowerRule(Federation(strategy="fedadam"))
    current = {"n": np.array([4, 4])}
    new = rule.aggregate(1, current, [(1, {"n": np.array([4, 8])})])  # type: ignore[arg-type]
    assert new["n"].dtype == np.int64


def test_every_strategy_but_our_own_has_a_builder() -> None:
    assert set(BUILDERS) == set(STRATEGIES) - {"fedavg", "fedprox", "scaffold", "fedbn", "fedper"}
