"""The packaged panel of blood analytes and how results are named."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["Analyte", "analyte_codes", "blood_panel"]


@dataclass(frozen=True)
class Analyte:
    """One analyte of the panel."""

    loinc: str
    name: str
    long_name: str
    unit: str  # UCUM, canonical


@cache
def blood_panel() -> tuple[Analyte, ...]:
    """The packaged analytes in file order: the default vocabulary of the blood branch."""
    text = files("shared.cohort").joinpath("blood_panel.csv").read_text(encoding="utf-8")
    return tuple(Analyte(**row) for row in csv.DictReader(text.splitlines()))


@cache
def analyte_codes() -> dict[str, str]:
    """LOINC code, short name or long name, all in lower case -> LOINC code."""
    return {word.lower(): a.loinc for a in blood_panel() for word in (a.loinc, a.name, a.long_name)}
