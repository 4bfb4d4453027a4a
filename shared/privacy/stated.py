"""What a study that asks for privacy must state itself, since anything else would be guessed or taken from patients."""

from collections.abc import Mapping

__all__ = ["STATED", "stated_faults"]

STATED = {
    "epsilon": ("DP016", "epsilon = 4.0", "without it nobody knows what the run may cost"),
    "delta": ("DP016", "delta = 1e-5", "an epsilon without its delta promises nothing"),
    "sample_rate": ("DP014", "sample_rate = 0.1", "a rate computed from the number of patients gives that number away"),
    "steps_per_round": ("DP005", "steps_per_round = 10", "passes over the patients are no count of noisy releases"),
    "expected_batch": ("DP014", "expected_batch = 16.0", "a denominator taken from patients breaks the sensitivity"),
}
"""Key of [privacy] -> lint code, an example, and why it cannot be left open."""


def stated_faults(mode: str, written: Mapping[str, object]) -> list[str]:
    """One sentence for every term that is missing, or that stands beside `mode = "off"` and would do nothing."""
    if mode == "off":
        idle = [name for name, value in written.items() if value is not None]
        advice = 'write mode = "local", or remove'
        return [f"expected a mode beside {', '.join(idle)}, got off; {advice} {', '.join(idle)}"] if idle else []
    if mode == "distributed":
        return [
            'DP021: expected mode = "local", got "distributed", whose noise is only enough while secure aggregation '
            'hides the single shares, which this version does not have; write mode = "local"'
        ]
    return [
        f"{code}: expected {name}, got none; {why}; write e.g. {example}"
        for name, (code, example, why) in STATED.items()
        if written[name] is None
    ]
