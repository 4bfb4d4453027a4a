"""Reference intervals: the row's own, else those of the site's table by sex and age.

Of several lines of the table that fit a patient, one that names a sex comes before one that does not, and then one that
names an age before one that does not. An interval with an upper limit only starts at 0, since nothing in the panel can
be negative; one with a lower limit only has no width, so that its results are left out.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from client.prepare.blood.units import canonical_factor
from client.prepare.blood.values import has_decimal_comma, parse_limit, parse_number, shown
from client.prepare.report import PrepareReport
from shared.cohort.blood import Analyte, analyte_codes, panel_analyte
from shared.cohort.sheets import read_sheet, require_columns
from shared.errors import CohortError
from shared.site import Site

__all__ = ["IntervalTable", "Person", "parse_interval", "read_intervals"]

COLUMNS = ("analyte", "unit", "sex", "age_low", "age_high", "ref_low", "ref_high")
SEXES = {"female": "female", "f": "female", "male": "male", "m": "male"}
BOTH = ("", "both", "all", "any")


@dataclass(frozen=True)
class Person:
    """What an interval may depend on: sex ("" = not known) and age in years (None = not known)."""

    sex: str = ""
    age: float | None = None

    @classmethod
    def of(cls, sex: str, age: str) -> "Person":
        """From the words of clinical.tsv; a word that is no sex or no age is as good as none."""
        try:
            years = parse_number(age, "age", False, "")
        except CohortError:
            years = None
        return cls(SEXES.get(sex.lower(), ""), years)


@dataclass(frozen=True)
class Line:
    """One line of the site's table; low and high in the panel's unit, ages from `age_low` to below `age_high`."""

    number: int
    sex: str
    ages: tuple[float, float] | None
    interval: tuple[float, float]

    def fits(self, person: Person) -> bool:
        """Whether the line is about such a person."""
        if self.sex and self.sex != person.sex:
            return False
        return self.ages is None or (person.age is not None and self.ages[0] <= person.age < self.ages[1])

    @property
    def specific(self) -> tuple[bool, bool]:
        """How closely it describes whom it is about."""
        return self.sex != "", self.ages is not None


@dataclass(frozen=True)
class IntervalTable:
    """The site's own intervals by LOINC code."""

    lines: dict[str, tuple[Line, ...]] = field(default_factory=dict)

    def find(self, analyte: Analyte, person: Person) -> tuple[float, float]:
        """The interval in the panel's unit.

        Raises
        ------
        CohortError
            No line fits, or two that differ do; a reason for prepare-report.csv.
        """
        fitting = [line for line in self.lines.get(analyte.loinc, ()) if line.fits(person)]
        if not fitting:
            raise CohortError(
                f"expected a reference interval of {analyte.name} in the row or, for the patient's sex and age, in the "
                "site's table, got none; write the laboratory's interval"
            )
        closest = max(line.specific for line in fitting)
        best = [line for line in fitting if line.specific == closest]
        if len({line.interval for line in best}) > 1:
            numbers = " and ".join(str(line.number) for line in best)
            raise CohortError(
                f"expected one interval of {analyte.name} in the site's table, got lines {numbers} that differ; "
                "remove one"
            )
        return best[0].interval


def parse_interval(low: str, high: str, *, decimal_commas: bool = False) -> tuple[float, float]:
    """Read the two ends of an interval that states at least one; its unit is the row's.

    Raises
    ------
    CohortError
        An end is no number, the upper limit is missing, or the ends do not enclose a part of [0, infinity).
    """
    got = f"{shown(low)} to {shown(high)}"
    if not high:
        raise CohortError(f"expected an upper limit, got {got}; write the laboratory's interval")
    start = parse_limit(low, "ref_low", ">", decimal_commas=decimal_commas) if low else 0.0
    end = parse_limit(high, "ref_high", "<", decimal_commas=decimal_commas)
    if not 0 <= start < end:
        raise CohortError(f"expected 0 <= ref_low < ref_high, got {got}; write the laboratory's interval")
    return start, end


def read_intervals(site: Site, report: PrepareReport) -> IntervalTable:
    """The table that [blood] intervals names, empty if it names none; lines that cannot be used are recorded."""
    if not site.blood.intervals:
        return IntervalTable()
    name = Path(site.blood.intervals).name
    try:
        sheet = _sheet(site.path(site.blood.intervals))
    except CohortError as exc:
        report.add(name, "left out", "; ".join(line.strip() for line in str(exc).splitlines()))
        return IntervalTable()
    lines: dict[str, list[Line]] = {}
    strangers: Counter[str] = Counter()
    commas = has_decimal_comma(word for column in COLUMNS[3:] for word in sheet[column])
    for number, row in zip(sheet.index, sheet[list(COLUMNS)].itertuples(index=False, name=None), strict=True):
        code = analyte_codes().get(row[0].lower())
        if code is None:
            strangers[row[0]] += 1
            continue
        try:
            line = _line(number, panel_analyte(code), row[1:], commas)
        except CohortError as exc:
            report.add(name, "left out", f"line {number}: {exc}")
        else:
            lines.setdefault(code, []).append(line)
    for word, count in sorted(strangers.items()):
        report.add(name, "noted", f"{count} lines of {shown(word)}, which is not in the panel")
    return IntervalTable({code: tuple(found) for code, found in lines.items()})


def _sheet(path: Path) -> pd.DataFrame:
    sheet = read_sheet(path)
    require_columns(path, sheet, ["analyte", "unit", "ref_low", "ref_high"])
    return sheet.assign(**{name: "" for name in COLUMNS if name not in sheet.columns})


def _line(number: int, analyte: Analyte, cells: Sequence[str], commas: bool) -> Line:
    unit, sex, age_low, age_high, low, high = cells
    if sex.lower() not in (*SEXES, *BOTH):
        raise CohortError(f"expected sex female, male or nothing, got {shown(sex)}; correct it")
    ages = None
    if age_low or age_high:
        start = parse_number(age_low, "age_low", commas, shown(age_low)) if age_low else 0.0
        end = parse_number(age_high, "age_high", commas, shown(age_high)) if age_high else float("inf")
        if start >= end:
            raise CohortError(
                f"expected age_low below age_high, got {shown(age_low)} and {shown(age_high)}; correct it"
            )
        ages = (start, end)
    factor = canonical_factor(analyte, unit)
    start, end = parse_interval(low, high, decimal_commas=commas)
    return Line(number, SEXES.get(sex.lower(), ""), ages, (start * factor, end * factor))
