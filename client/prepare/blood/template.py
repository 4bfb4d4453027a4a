"""Blood results in words, always the same words for the same results: no model, no network (SEEDS.md section 3, 5)."""

from collections.abc import Sequence

import numpy as np

from client.prepare.blood.results import Result
from client.prepare.blood.values import Bound
from shared.cohort.blood import panel_analyte

__all__ = ["NONE_ABNORMAL", "abnormal", "describe", "sentence"]

NONE_ABNORMAL = "No abnormal blood biomarkers."
LIMITS: dict[Bound, str] = {"": "", "<": "below ", ">": "above "}
RATIOS: dict[Bound, str] = {"": "", "<": "less than ", ">": "more than "}


def describe(rows: Sequence[Result]) -> str:
    """One sentence a result outside its interval, in the order of `rows`; `NONE_ABNORMAL` when there is none."""
    return " ".join(sentence(row) for row in abnormal(rows)) or NONE_ABNORMAL


def abnormal(rows: Sequence[Result]) -> tuple[Result, ...]:
    """The results outside their intervals, or beyond a limit that lies at or outside one."""
    return tuple(row for row in rows if _side(row))


def sentence(row: Result) -> str:
    """What an abnormal result says: direction, value, interval and how many times the limit that it passes."""
    analyte, high = panel_analyte(row.code), _side(row) > 0
    unit = "" if analyte.unit == "1" else f" {analyte.unit}"
    limit = row.high if high else row.low
    return (
        f"{analyte.long_name} is {'elevated' if high else 'reduced'} "
        f"({LIMITS[row.bound]}{_number(row.value)}{unit}, reference {_number(row.low)}-{_number(row.high)}), "
        f"{RATIOS[row.bound]}{_number(row.value / limit, 3)} times the {'upper' if high else 'lower'} limit."
    )


def _side(row: Result) -> int:
    """-1 below the interval, 0 inside, 1 above."""
    above = row.value > row.high or (row.bound == ">" and row.value >= row.high)
    below = row.value < row.low or (row.bound == "<" and row.value <= row.low and row.low > 0)
    return int(above) - int(below)


def _number(value: float, digits: int = 4) -> str:
    """At most `digits` significant digits, never with an exponent."""
    return np.format_float_positional(value, precision=digits, fractional=False, trim="-")
