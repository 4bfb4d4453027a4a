"""Names of the aggregation strategies and their options; what they do stands in server/strategies/."""

STRATEGIES: dict[str, dict[str, float]] = {
    "fedavg": {},
    "fedprox": {"proximal_mu": 0.01},
    "fedadam": {"eta": 0.1, "eta_l": 0.1, "beta_1": 0.9, "beta_2": 0.99, "tau": 1e-3},
}
"""Strategy name -> its options with their defaults."""
