"""Clinical columns as numbers, scaled by public constants and never by anything fitted."""

import math
import re

import numpy as np
from numpy.typing import NDArray

from client.prepare.patients import Roster
from client.prepare.report import PrepareReport
from shared.cohort.store_files import Table

__all__ = ["clinical_table"]

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
SHOWN = 16
"""Letters of a cell that a reason quotes: enough for a number, too few for a name and its address."""

PLAUSIBLE = {"age_at_diagnosis": (0.0, 120.0)}
"""Column -> the range it must lie in; an age in days is one of the likely mistakes."""

SEX = {"male": 1.0, "m": 1.0, "female": 0.0, "f": 0.0}


def clinical_table(roster: Roster, columns: tuple[tuple[str, float, float], ...], report: PrepareReport) -> Table:
    """Values (P, V) = (number - centre) / unit, sex as male 1 and female 0; empty cells are not observed.

    `columns` are (name, centre, unit). A word where a number belongs is left out and recorded.
    """
    values = np.full((len(roster.table), len(columns)), np.nan)
    for place, (name, centre, unit) in enumerate(columns):
        if name not in roster.table.columns:
            report.add(
                "clinical.tsv",
                "noted",
                f"no column {name!r}: not observed; name its source in [columns] of the site file",
            )
            continue
        values[:, place] = (_numbers(name, roster, report) - centre) / unit
    return roster.as_table(values, tuple(name for name, _, _ in columns))


def _numbers(name: str, roster: Roster, report: PrepareReport) -> NDArray[np.float64]:
    numbers = np.full(len(roster.table), np.nan)
    for i, (key, case_id, word) in enumerate(zip(*(roster.table[c] for c in ("key", "case_id", name)), strict=True)):
        number, wanted = _read(name, word)
        if number is not None:
            numbers[i] = number
        elif word:
            reason = f"{name}: expected {wanted}, got {word[:SHOWN]!r}; correct it"
            report.add("clinical.tsv", "left out", reason, key=key, case_id=case_id)
    return numbers


def _read(name: str, word: str) -> tuple[float | None, str]:
    """The number that a cell holds, or None, and what is expected of it."""
    if name == "sex":
        return SEX.get(word.lower()), "male or female"
    number = float(word) if NUMBER.fullmatch(word) else math.nan
    if name not in PLAUSIBLE:
        return number if math.isfinite(number) else None, "a number"
    low, high = PLAUSIBLE[name]
    wanted = f"a number from {low:g} to {high:g}, as [columns] of the site file can make it"
    return number if low <= number <= high else None, wanted
