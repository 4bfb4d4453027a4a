"""Blood results: from a laboratory's long table to one usable result per patient and analyte.

A row is left out, and recorded with its line, when its value, unit or interval cannot be used. Rules beyond those of
values, units and intervals: no result is negative; a limit (`<0.3`) is used as if it were the result, but only where it
settles whether the result lies below, inside or above its interval; a result more than 1,000 interval widths outside is
taken for one in another unit.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pandas as pd

from client.prepare.blood.collected import UNDATED, Rank, diagnosis_dates, rank
from client.prepare.blood.intervals import IntervalTable, Person, parse_interval, read_intervals
from client.prepare.blood.units import canonical_factor
from client.prepare.blood.values import Bound, has_decimal_comma, parse_value, shown
from client.prepare.patients import Roster
from client.prepare.report import PrepareReport
from shared.cohort.blood import Analyte, analyte_codes, panel_analyte
from shared.cohort.sheets import find_file, read_sheet, require_columns
from shared.errors import CohortError
from shared.site import Site

__all__ = ["FARTHEST", "Result", "read_results"]

FARTHEST = 1000.0
"""Interval widths outside the interval beyond which a result is taken for one in another unit."""

OPTIONAL = ("ref_low", "ref_high", "collected")


@dataclass(frozen=True)
class Result:
    """One usable result; value and interval in the panel's unit."""

    code: str  # LOINC
    value: float
    low: float
    high: float
    bound: Bound = ""  # "<": at most the value, ">": at least


@dataclass
class Counts:
    """What the report says about rows that were used."""

    limits: int = 0
    undated: int = 0
    undiagnosed: int = 0


@dataclass(frozen=True)
class Row:
    """One row of a known patient and a wanted analyte, as written."""

    line: int
    case_id: str
    analyte: Analyte
    value: str
    unit: str
    low: str
    high: str
    collected: str


@dataclass(frozen=True)
class Context:
    """What a row is read with."""

    intervals: IntervalTable
    persons: dict[str, Person]
    diagnosed: dict[str, date | None]
    decimal_commas: bool
    counts: Counts = field(default_factory=Counts)


def read_results(
    site: Site, roster: Roster, analytes: tuple[str, ...], report: PrepareReport
) -> dict[str, tuple[Result, ...]]:
    """case_id -> the patient's results in the order of `analytes` (LOINC codes); patients without any are not there.

    Raises
    ------
    CohortError
        blood.csv is malformed as a whole, or lacks a column.
    """
    chosen: dict[str, dict[str, tuple[Rank, Result]]] = {}
    path = find_file(site.data, "blood.csv", "blood.csv.gz")
    if path is not None:
        sheet = _sheet(path, report)
        context = _context(site, roster, sheet, report)
        for row in _rows(sheet, roster, analytes, path.name, report):
            try:
                result = _result(row, context)
            except CohortError as exc:
                reason = f"line {row.line}: {exc}"
                report.add(path.name, "left out", reason, key=roster.keys[row.case_id], case_id=row.case_id)
                continue
            mine, newer = chosen.setdefault(row.case_id, {}), _rank(row, context)
            if row.analyte.loinc not in mine or newer >= mine[row.analyte.loinc][0]:
                mine[row.analyte.loinc] = (newer, result)
        _note(path.name, context.counts, report)
    results = {case_id: tuple(mine[code][1] for code in analytes if code in mine) for case_id, mine in chosen.items()}
    found = Counter(result.code for mine in results.values() for result in mine)
    for code in analytes:
        report.cover("blood", panel_analyte(code).name, found[code], len(roster.case_ids))
    if path is not None:
        report.add(path.name, "used", f"{len(results)} patients, {len(found)} of {len(analytes)} analytes")
    return results


def _sheet(path: Path, report: PrepareReport) -> pd.DataFrame:
    """All whole rows as strings, indexed by line number; ragged ones are recorded."""
    ragged: list[str] = []
    sheet = read_sheet(path, ragged)
    for fault in ragged:
        report.add(path.name, "left out", fault)
    require_columns(path, sheet, ["case_id", "analyte", "value", "unit"])
    return sheet.assign(**{name: "" for name in OPTIONAL if name not in sheet.columns})


def _context(site: Site, roster: Roster, sheet: pd.DataFrame, report: PrepareReport) -> Context:
    blank = pd.Series("", index=roster.table.index)
    sex, age, diagnosed = (
        roster.table.get(name, blank).astype(str) for name in ("sex", "age_at_diagnosis", "diagnosis_date")
    )
    return Context(
        intervals=read_intervals(site, report),
        persons={c: Person.of(s, a) for c, s, a in zip(roster.case_ids, sex, age, strict=True)},
        diagnosed=dict(zip(roster.case_ids, diagnosis_dates(diagnosed), strict=True)),
        decimal_commas=has_decimal_comma(word for name in ("value", "ref_low", "ref_high") for word in sheet[name]),
    )


def _rows(
    sheet: pd.DataFrame, roster: Roster, analytes: tuple[str, ...], file: str, report: PrepareReport
) -> Iterator[Row]:
    """Rows of known patients and wanted analytes in file order; the others are counted in the report."""
    for case_id in roster.strangers(sheet["case_id"]):
        report.add(file, "left out", "not in clinical.tsv", case_id=case_id)
    codes, wanted = analyte_codes(), {code: panel_analyte(code) for code in analytes}
    rows = sheet[sheet["case_id"].isin(roster.case_ids)]
    found = [wanted.get(codes.get(word.lower(), "")) for word in rows["analyte"]]
    others = Counter(word for word, analyte in zip(rows["analyte"], found, strict=True) if analyte is None)
    for word, count in sorted(others.items()):
        report.add(file, "noted", f"{count} rows of {word!r}, which is not among the study's analytes")
    names = ("case_id", "value", "unit", "ref_low", "ref_high", "collected")
    cells = zip(*(rows[name] for name in names), strict=True)
    for line, analyte, (case_id, *words) in zip(rows.index, found, cells, strict=True):
        if analyte is not None:
            yield Row(line, case_id, analyte, *words)


def _result(row: Row, context: Context) -> Result:
    """The row's result in the panel's unit; CohortError with the reason when it cannot be used."""
    reading = parse_value(row.value, decimal_commas=context.decimal_commas)
    if reading.number < 0:
        raise CohortError(f"expected a value of 0 or more, got {shown(row.value)}; correct it")
    factor = canonical_factor(row.analyte, row.unit)
    if row.low or row.high:
        low, high = parse_interval(row.low, row.high, decimal_commas=context.decimal_commas)
        interval = (low * factor, high * factor)
    else:
        interval = context.intervals.find(row.analyte, context.persons[row.case_id])
    result = Result(row.analyte.loinc, reading.number * factor, *interval, reading.bound)
    if not _settled(result):
        got = f"{shown(row.value)} for {result.low / factor:.6g} to {result.high / factor:.6g}"
        raise CohortError(f"expected a limit that tells below, inside or above, got {got}; write the measured value")
    outside = max(result.low - result.value, result.value - result.high) / (result.high - result.low)
    if outside > FARTHEST:
        raise CohortError(
            f"expected a value within {FARTHEST:.0f} interval widths of its interval, got {shown(row.value)}; "
            "check the units of value and interval"
        )
    context.counts.limits += reading.bound != ""
    return result


def _settled(result: Result) -> bool:
    """Whether a limit leaves no doubt if the result lies below, inside or above the interval."""
    if result.bound == "<":
        return result.value <= result.low or (result.low == 0 and result.value <= result.high)
    return result.bound == "" or result.value >= result.high


def _rank(row: Row, context: Context) -> Rank:
    found = rank(row.collected, context.diagnosed[row.case_id])
    context.counts.undated += found is None
    context.counts.undiagnosed += found is not None and found[0] == 1
    return found or UNDATED


def _note(file: str, counts: Counts, report: PrepareReport) -> None:
    if counts.limits:
        report.add(file, "noted", f"{counts.limits} results are limits (<x, >x): the limit itself is used")
    if counts.undated:
        report.add(
            file,
            "noted",
            f"{counts.undated} rows whose column collected holds neither days from diagnosis nor a date "
            "(YYYY-MM-DD): taken as undated",
        )
    if counts.undiagnosed:
        report.add(
            file,
            "noted",
            f"{counts.undiagnosed} dated rows of patients without a date in the column diagnosis_date of "
            "clinical.tsv: of several the latest counts",
        )
