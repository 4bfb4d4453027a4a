"""Names of the aggregation strategies, their options and what these may be; what they do is in server/strategies/."""

import math
from collections.abc import Mapping
from difflib import get_close_matches

__all__ = ["STRATEGIES", "least_sites", "option_faults", "training_faults"]

STRATEGIES: dict[str, dict[str, float]] = {
    "fedavg": {},
    "fedprox": {"proximal_mu": 0.01},
    "fedavgm": {"server_learning_rate": 1.0, "server_momentum": 0.5},
    "fedadam": {"eta": 0.01, "eta_l": 0.1, "beta_1": 0.9, "beta_2": 0.99, "tau": 1e-3},
    "fedyogi": {"eta": 0.01, "beta_1": 0.9, "beta_2": 0.99, "tau": 1e-3},
    "fedmedian": {},
    "fedtrimmedavg": {"beta": 0.2},
    "krum": {"num_malicious_nodes": 0, "num_nodes_to_select": 1},
    "scaffold": {},
    "fedbn": {},
    "fedper": {},
}
"""Strategy name -> its options with their defaults. An option whose default is an int must be a whole number.

The rates of FedAvgM (Hsu et al. 2019), FedAdam and FedYogi (Reddi et al. 2021) are those that did best of the ones
those papers try, on a synthetic cohort that no figure is taken from (tests/benchmarks/strategies_table.py --tune). The
trimmed mean's share is Flower's.
"""

RANGES: dict[str, tuple[float, float, str]] = {
    "proximal_mu": (0, math.inf, "at least 0"),
    "server_learning_rate": (1e-9, math.inf, "above 0"),
    "server_momentum": (0, 1 - 1e-9, "at least 0 and below 1"),
    "eta": (1e-9, math.inf, "above 0"),
    "beta_1": (0, 1 - 1e-9, "at least 0 and below 1"),
    "beta_2": (0, 1 - 1e-9, "at least 0 and below 1"),
    "tau": (1e-12, math.inf, "above 0"),
    "beta": (1e-3, 0.5 - 1e-9, "at least 0.001 and below 0.5"),
    "num_malicious_nodes": (0, math.inf, "at least 0"),
    "num_nodes_to_select": (1, math.inf, "at least 1"),
}


def least_sites(strategy: str, options: Mapping[str, float]) -> int:
    """The fewest sites (or holders of a branch) of which the strategy can tell the odd ones; 1 if it does not try.

    A median needs 3; a trimmed mean cuts int(beta n) at either end, so n >= 1/beta; Krum needs 2 f + 3 for f malicious
    sites (Blanchard et al. 2017, proposition 1), and at least the selected ones besides those.
    """
    if strategy == "fedmedian":
        return 3
    if strategy == "fedtrimmedavg":
        return next(n for n in range(2, 2000) if int(options["beta"] * n) >= 1)
    if strategy == "krum":
        malicious, selected = (int(options[name]) for name in ("num_malicious_nodes", "num_nodes_to_select"))
        return max(2 * malicious + 3, malicious + selected)
    return 1


def option_faults(strategy: str, options: Mapping[str, float]) -> list[str]:
    """What is wrong with the options written for a strategy, one sentence each."""
    defaults, faults = STRATEGIES[strategy], []
    for name, value in sorted(options.items()):
        if name not in defaults:
            close = get_close_matches(name, defaults, n=1)
            known = f"remove it (known here: {', '.join(sorted(defaults)) or 'none'})"
            advice = f"write {close[0]!r}" if close else known
            faults.append(f"expected a strategy option of {strategy}, got {name!r}; {advice}")
            continue
        low, high, words = RANGES.get(name, (-math.inf, math.inf, ""))
        if not low <= value <= high:
            faults.append(f"expected {name} {words}, got {value:g}; write e.g. {defaults[name]:g}")
        elif isinstance(defaults[name], int) and value != int(value):
            faults.append(f"expected {name} to be a whole number, got {value:g}; write e.g. {int(value)}")
    return faults


def training_faults(strategy: str, optimizer: str, task: str) -> list[str]:
    """What a strategy does not go together with, one sentence each."""
    faults = []
    if task == "detection" and strategy in ("fedprox", "scaffold"):  # what they add to a site's training is not there
        faults.append(f"federation.strategy: expected another one for detection, got {strategy}; write e.g. fedavg")
    if strategy == "scaffold" and optimizer != "sgd":  # (x - y) / (steps x rate) is the mean gradient of plain SGD only
        faults.append(
            f'training.optimizer: expected "sgd" with strategy scaffold, got "{optimizer}"; write optimizer = "sgd"'
        )
    return faults
