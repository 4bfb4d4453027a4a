"""When a sample was taken, and which of several results of one analyte counts.

Rule: the result taken nearest to diagnosis, before or after; where no distance to diagnosis is known, the one with the
latest date; where there is no date either, the last in the file. Among equals the later line counts.
"""

import re
from collections.abc import Iterable
from datetime import date

__all__ = ["UNDATED", "Rank", "diagnosis_dates", "rank"]

Rank = tuple[int, float]
"""Of two results the one with the higher rank counts."""

UNDATED: Rank = (0, 0.0)
DAYS = re.compile(r"[+-]?[0-9]{1,5}(?:\.[0-9]+)?")
ISO_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8})(?:[T ].*)?")


def rank(collected: str, diagnosed: date | None) -> Rank | None:
    """The rank of a result; `collected` is days from diagnosis or an ISO date, with or without a time, or empty.

    None where it is something else.
    """
    if not collected:
        return UNDATED
    if DAYS.fullmatch(collected):
        return 2, -abs(float(collected))
    day = _date(collected)
    if day is None:
        return None
    return (1, float(day.toordinal())) if diagnosed is None else (2, -float(abs((day - diagnosed).days)))


def diagnosis_dates(words: Iterable[str]) -> list[date | None]:
    """The dates in a column; None for a cell that is empty or no ISO date."""
    return [_date(word) for word in words]


def _date(word: str) -> date | None:
    match = ISO_DATE.fullmatch(word)
    if match is None:
        return None
    try:
        return date.fromisoformat(match[1])
    except ValueError:  # no such day
        return None
