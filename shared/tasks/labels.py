"""What a task makes of a patient table: one label a row, or the reason why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shared.errors import CohortError

__all__ = ["MISSING", "Labels", "column_of", "counted", "joined_column", "numbers_of"]

MISSING = frozenset({"", "NA", "NaN", "nan"})
"""Texts that mean "not known" in a patient table, beside an empty cell."""


@dataclass(frozen=True)
class Labels:
    """P patients in the order of the table. A patient with a reason is left out of the task and counted under it."""

    y: NDArray[np.int64]  # (P,) class or time bin, -1 where there is a reason
    time: NDArray[np.float32]  # (P,) months, 0 for classification
    cens: NDArray[np.float32]  # (P,) 1 = censored, 0 for classification
    reason: tuple[str, ...]  # "" = usable

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which patients the task can use: (P,)."""
        return np.array([not reason for reason in self.reason], dtype=np.bool_)

    @property
    def event(self) -> NDArray[np.float32]:
        """1 = the event was seen, 0 = censored or not a survival task: (P,)."""
        return np.where(self.usable & (self.time > 0), 1 - self.cens, 0).astype(np.float32)


def column_of(patients: pd.DataFrame, column: str) -> list[str]:
    """A column as stripped texts, "" where it is empty or says NA.

    Raises
    ------
    CohortError
        The table has no such column.
    """
    if column not in patients.columns:
        got = ", ".join(str(name) for name in patients.columns)
        raise CohortError(
            f"clinical.tsv: expected the column {column!r}, got {got}; correct the study's task or map it in [columns]"
        )
    texts = ["" if pd.isna(value) else str(value).strip() for value in patients[column]]
    return ["" if text in MISSING else text for text in texts]


def joined_column(patients: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Several columns as one: "G4 + IDHwt", or "" where one of them is empty.

    Raises
    ------
    CohortError
        The table lacks one of them.
    """
    rows = zip(*(column_of(patients, name) for name in columns), strict=True)
    return [" + ".join(words) if all(words) else "" for words in rows]


def numbers_of(patients: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A column as numbers (P,), NaN where it is empty or says NA.

    Raises
    ------
    CohortError
        The table has no such column, or it holds a text or an infinity; each is named with its count.
    """
    texts = pd.Series(column_of(patients, column), dtype=object)
    numbers = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64)
    strangers = texts[(texts != "") & ~np.isfinite(numbers)]
    if len(strangers):
        raise CohortError(
            f"clinical.tsv: {column}: expected numbers, got {counted(list(strangers))}; correct the table"
        )
    return numbers


def counted(values: list[str]) -> str:
    """Values with their counts, most frequent first: `'II' (3), 'IV' (1)`."""
    return ", ".join(f"{value!r} ({n})" for value, n in pd.Series(values).value_counts().items())
