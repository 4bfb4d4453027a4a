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


def test_the_moments_survive_a_restart() -> None:
    federation = Federation(strategy="fedadam", strategy_options=OPTIONS)
    undisturbed, killed, resumed = FlowerRule(federation), FlowerRule(federation), FlowerRule(federation)
    assert killed.state() == {}
    current = by_rule(killed, drawn(0), rounds(2))
    resumed.restore({name: array.copy() for name, array in killed.state().items()})
    expected = by_rule(undisturbed, drawn(0), rounds(4))
    for name, array in by_rule(resumed, current, rounds(4)[2:], first=3).items():
        assert array.tobytes() == expected[name].tobytes()


def test_without_its_moments_it_goes_another_way() -> None:
    federation = Federation(strategy="fedadam", strategy_options=OPTIONS)
    expected = by_rule(FlowerRule(federation), drawn(0), rounds(4))
    current = by_rule(FlowerRule(federation), drawn(0), rounds(2))
    forgetful = by_rule(FlowerRule(federation), current, rounds(4)[2:], first=3)
    assert not np.allclose(forgetful["w"], expected["w"], atol=1e-4)


def test_integer_buffers_stay_integers() -> None:
    rule = FlowerRule(Federation(strategy="fedadam"))
    current = {"n": np.array([4, 4])}
    new = rule.aggregate(1, current, [(1, {"n": np.array([4, 8])})])  # type: ignore[arg-type]
    assert new["n"].dtype == np.int64


def test_every_strategy_but_our_own_has_a_builder() -> None:
    assert set(BUILDERS) == set(STRATEGIES) - {"fedavg", "fedprox"}
