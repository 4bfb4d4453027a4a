"""A class that a table writes in several ways, which would silently become several classes."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.cohort.sheets import refuse

__all__ = ["refuse_spellings", "several_spellings"]

MOST = 40
"""Values from which on a column holds no classes."""


def several_spellings(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """One sentence for every class of a column that stands there in several spellings; empty cells do not count.

    Two spellings are one class if they differ only in capitals, blanks and signs: IDHwt, IDHWT, IDH-wt. Numbers and
    columns of more than MOST values are no classes.
    """
    faults = []
    for column, cells in columns.items():
        counts = Counter(cell for cell in cells if cell)
        if len(counts) > MOST:
            continue
        groups: dict[str, list[str]] = {}
        for spelling in sorted(counts, key=lambda word: (-counts[word], word)):
            if not _is_number(spelling):
                groups.setdefault(_bare(spelling), []).append(spelling)
        for spellings in groups.values():
            if len(spellings) > 1:
                listed = ", ".join(f"{word!r} ({counts[word]})" for word in spellings)
                faults.append(
                    f"column {column!r}: expected one spelling a class, got {listed}; write {spellings[0]!r} throughout"
                )
    return faults


def refuse_spellings(table: str, columns: Mapping[str, Sequence[str]]) -> None:
    """CohortError that names every class which columns of the file `table` write in several ways."""
    refuse(Path(table), several_spellings(columns))


def _bare(word: str) -> str:
    """The word without what spellings differ in; signs alone stay, so that + and - are two classes."""
    return re.sub(r"[\W_]+", "", word).casefold() if re.search(r"\w", word) and not word.endswith(("+", "-")) else word


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
