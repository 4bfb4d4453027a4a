"""The packaged panel of blood analytes, how results are named, and what converts moles to mass.

Molar masses (g/mol) are those behind the conversion factors of the AMA Manual of Style, 11th ed., section 17.5:
calcium 40.078 and phosphorus 30.974 (standard atomic weights; laboratories state phosphate as phosphorus), creatinine
C4H7N3O 113.12, urate C5H4N4O3 168.11, fibrinogen 340,000, haemoglobin 16,114.5 (one haem, the unit that laboratories
reporting mmol/L mean). The other proteins have none: laboratories disagree on it, or never report moles.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["Analyte", "analyte_codes", "blood_panel", "panel_analyte"]


@dataclass(frozen=True)
class Analyte:
    """One analyte of the panel; none of its results can be negative."""

    loinc: str
    name: str
    long_name: str
    unit: str  # UCUM, canonical
    molar_mass: float | None = None  # g/mol; None: results in moles are not converted
    valence: int | None = None  # charges of the ion; None: results in equivalents are not converted
    aliases: tuple[str, ...] = ()  # other names, and LOINC codes of the same quantity in another unit or by any method


@cache
def blood_panel() -> tuple[Analyte, ...]:
    """The packaged analytes in file order: the default vocabulary of the blood branch."""
    text = files("shared.cohort").joinpath("blood_panel.csv").read_text(encoding="utf-8")
    return tuple(
        Analyte(
            loinc=row["loinc"],
            name=row["name"],
            long_name=row["long_name"],
            unit=row["unit"],
            molar_mass=float(row["molar_mass"]) if row["molar_mass"] else None,
            valence=int(row["valence"]) if row["valence"] else None,
            aliases=tuple(row["aliases"].split(";")) if row["aliases"] else (),
        )
        for row in csv.DictReader(text.splitlines())
    )


@cache
def panel_analyte(loinc: str) -> Analyte:
    """The analyte of a LOINC code of the panel; KeyError for another code."""
    return {analyte.loinc: analyte for analyte in blood_panel()}[loinc]


@cache
def analyte_codes() -> dict[str, str]:
    """LOINC code, short name, long name or alias, all in lower case -> LOINC code of the panel."""
    return {word.lower(): a.loinc for a in blood_panel() for word in (a.loinc, a.name, a.long_name, *a.aliases)}
