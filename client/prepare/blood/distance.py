"""How far a result lies outside its reference interval."""

__all__ = ["MAX_DISTANCE", "interval_distance"]

MAX_DISTANCE = 10.0
"""Distances are clipped to +-10 interval widths."""


def interval_distance(value: float, low: float, high: float) -> float:
    """Signed distance of a value to [low, high] in interval widths: below < 0, inside 0, above > 0; clipped.

    Value and interval share one unit, so the distance has none. Source: SEEDS.md section 3, item 5.
    """
    outside = min(value - low, 0.0) + max(value - high, 0.0)
    return float(min(max(outside / (high - low), -MAX_DISTANCE), MAX_DISTANCE))
