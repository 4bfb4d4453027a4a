"""Blood results: from a laboratory's long table to signed distances from the reference intervals."""

from collections import Counter
from collections.abc import Hashable

import numpy as np
import pandas as pd

from client.prepare.patients import Roster
from client.prepare.report import PrepareReport
from shared.cohort.blood import analyte_codes
from shared.cohort.store_files import Table
from shared.cohort.tables import read_blood
from shared.site import Site

__all__ = ["MAX_DISTANCE", "blood_table", "interval_distance"]

MAX_DISTANCE = 10.0
"""Distances are clipped to +-10 interval widths."""


def interval_distance(value: float, low: float, high: float) -> float:
    """Signed distance of a value to [low, high] in interval widths: below < 0, inside 0, above > 0; clipped.

    Value and interval share one unit, so the distance has none. Source: SEEDS.md section 3, item 5.
    """
    outside = min(value - low, 0.0) + max(value - high, 0.0)
    return float(np.clip(outside / (high - low), -MAX_DISTANCE, MAX_DISTANCE))


def blood_table(site: Site, roster: Roster, analytes: tuple[str, ...], report: PrepareReport) -> Table:
    """Distances (P, F_b), one column a LOINC code.

    Of several results of one analyte the one collected nearest to diagnosis (in days) counts, else the last in the
    file. A row without a number or without a usable interval of its own is left out and recorded.
    """
    values = np.full((len(roster.table), len(analytes)), np.nan)
    sheet = read_blood(site.data)
    if sheet is None:
        return roster.as_table(values, analytes)
    rows = _numbers(_known(sheet, roster, analytes, report), roster, report)
    rows["days"] = pd.to_numeric(rows["collected"], errors="coerce").abs().fillna(np.inf)
    rows["line"] = rows.index
    rows = rows.sort_values(["days", "line"], ascending=[False, True], kind="stable")
    # nearest last, and among equals the later line
    place = {case_id: i for i, case_id in enumerate(roster.case_ids)}
    column = {code: i for i, code in enumerate(analytes)}
    read = (rows[name].tolist() for name in ("case_id", "code", "value", "ref_low", "ref_high"))
    for case_id, code, value, low, high in zip(*read, strict=True):
        values[place[case_id], column[code]] = interval_distance(value, low, high)
    there = np.isfinite(values)
    counts = f"{int(there.any(axis=1).sum())} patients, {int(there.any(axis=0).sum())} of {len(analytes)} analytes"
    report.add("blood.csv", "used", counts)
    return roster.as_table(values, analytes)


def _known(sheet: pd.DataFrame, roster: Roster, analytes: tuple[str, ...], report: PrepareReport) -> pd.DataFrame:
    """Rows of known patients and wanted analytes, with a column `code`; the others are counted in the report."""
    for case_id in roster.strangers(sheet["case_id"]):
        report.add("blood.csv", "left out", "not in clinical.tsv", case_id=case_id)
    codes = analyte_codes()
    rows = sheet[sheet["case_id"].isin(roster.case_ids)]
    rows = rows.assign(code=[codes.get(word.lower(), "") for word in rows["analyte"]])
    wanted = rows["code"].isin(analytes)
    for word, count in sorted(Counter(rows["analyte"][~wanted]).items()):
        report.add("blood.csv", "noted", f"{count} rows of {word!r}, which is not among the study's analytes")
    return rows[wanted]


def _numbers(rows: pd.DataFrame, roster: Roster, report: PrepareReport) -> pd.DataFrame:
    """Rows whose value and interval are numbers, as float64; the others are left out and recorded."""
    numbers = (
        rows[["value", "ref_low", "ref_high"]].apply(pd.to_numeric, errors="coerce").replace([np.inf, -np.inf], np.nan)
    )
    no_number = numbers["value"].isna()
    no_interval = ~(numbers["ref_low"] < numbers["ref_high"])
    for line in rows.index[no_number | no_interval]:
        reason = _reason(line, rows.loc[line], no_number=bool(no_number[line]))
        case_id = str(rows.loc[line, "case_id"])
        report.add("blood.csv", "left out", reason, key=roster.keys[case_id], case_id=case_id)
    usable: pd.DataFrame = rows.assign(**{name: numbers[name] for name in numbers})[~(no_number | no_interval)]
    return usable


def _reason(line: Hashable, row: "pd.Series[str]", *, no_number: bool) -> str:
    if no_number:
        return f"line {line}: expected a number as value, got {row['value']!r}; correct it"
    interval = f"{row['ref_low']!r} to {row['ref_high']!r}"
    return f"line {line}: expected ref_low below ref_high, got {interval}; write the laboratory's interval"
