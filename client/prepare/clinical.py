"""Clinical columns as numbers, scaled by public constants and never by anything fitted."""

import numpy as np
from numpy.typing import NDArray

from client.prepare.patients import Roster
from client.prepare.report import PrepareReport
from shared.cohort.store_files import Table

__all__ = ["clinical_table"]

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
        number = _sex(word) if name == "sex" else _number(word)
        if word and number is None:
            what = "male or female" if name == "sex" else "a number"
            report.add(
                "clinical.tsv",
                "left out",
                f"{name}: expected {what}, got {word!r}; correct it",
                key=key,
                case_id=case_id,
            )
        elif number is not None:
            numbers[i] = number
    return numbers


def _sex(word: str) -> float | None:
    return SEX.get(word.lower())


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if np.isfinite(number) else None
