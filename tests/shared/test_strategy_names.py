"""What a study may say of its aggregation strategy."""

from typing import Any

import pytest

from shared.errors import StudyError
from shared.strategy_names import STRATEGIES, least_sites, option_faults
from tests.federation import tiny_study


def federated(strategy: str, **keys: Any) -> Any:
    return tiny_study(federation={"strategy": strategy, **keys}).federation


def test_the_ten_strategies() -> None:
    assert " ".join(STRATEGIES) == (
        "fedavg fedprox fedavgm fedadam fedyogi fedmedian fedtrimmedavg krum scaffold fedbn fedper"
    )


@pytest.mark.parametrize(
    ("strategy", "options", "least"),
    [
        ("fedavg", {}, 1),
        ("fedmedian", {}, 3),
        ("fedtrimmedavg", {"beta": 0.2}, 5),
        ("fedtrimmedavg", {"beta": 0.34}, 3),
        ("fedtrimmedavg", {"beta": 0.49}, 3),
        ("krum", {"num_malicious_nodes": 0, "num_nodes_to_select": 1}, 3),
        ("krum", {"num_malicious_nodes": 1, "num_nodes_to_select": 1}, 5),
        ("krum", {"num_malicious_nodes": 0, "num_nodes_to_select": 6}, 6),
    ],
)
def test_a_robust_rule_needs_enough_sites_to_tell_the_odd_ones(
    strategy: str, options: dict[str, float], least: int
) -> None:
    assert least_sites(strategy, options) == least


def test_quorums_that_are_not_written_are_what_the_strategy_needs() -> None:
    found = federated("fedtrimmedavg")
    assert (found.quorum, found.branch_quorum) == (5, 5)
    found = federated("fedmedian", quorum=4)
    assert (found.quorum, found.branch_quorum) == (4, 3)
    assert (federated("fedavg").quorum, federated("fedavg").branch_quorum) == (2, 2)


def test_quorums_that_are_too_small_are_refused_both_at_once() -> None:
    with pytest.raises(StudyError) as caught:
        federated("krum", strategy_options={"num_malicious_nodes": 1}, quorum=4, branch_quorum=2)
    assert "expected quorum to be at least 5 with krum, got 4; write quorum = 5" in str(caught.value)
    assert "expected branch_quorum to be at least 5 with krum, got 2; write branch_quorum = 5" in str(caught.value)


@pytest.mark.parametrize(
    ("strategy", "options", "fault"),
    [
        ("fedtrimmedavg", {"beta": 0.5}, "expected beta at least 0.001 and below 0.5, got 0.5; write e.g. 0.2"),
        ("fedavgm", {"server_momentum": 1}, "expected server_momentum at least 0 and below 1, got 1; write e.g. 0.5"),
        ("fedyogi", {"eta": 0}, "expected eta above 0, got 0; write e.g. "),
        (
            "krum",
            {"num_nodes_to_select": 1.5},
            "expected num_nodes_to_select to be a whole number, got 1.5; ",
        ),
        ("krum", {"num_malicious_nodes": -1}, "expected num_malicious_nodes at least 0, got -1; write e.g. 0"),
        ("fedprox", {"proximal_mu": -0.1}, "expected proximal_mu at least 0, got -0.1; write e.g. 0.01"),
        ("scaffold", {"eta": 1}, "expected a strategy option of scaffold, got 'eta'; remove it"),
    ],
)
def test_an_option_out_of_its_range_is_refused(strategy: str, options: dict[str, float], fault: str) -> None:
    assert [found.startswith(fault) for found in option_faults(strategy, options)] == [True]


def test_defaults_are_within_their_ranges() -> None:
    assert [option_faults(name, options) for name, options in STRATEGIES.items()] == [[]] * len(STRATEGIES)


def test_scaffold_wants_plain_sgd() -> None:
    with pytest.raises(
        StudyError,
        match='training.optimizer: expected "sgd" with strategy scaffold, got "adamw"; write',
    ):
        federated("scaffold")
    assert tiny_study(federation={"strategy": "scaffold"}, training={"optimizer": "sgd"}).training.optimizer == "sgd"
