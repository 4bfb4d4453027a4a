"""A site's patients: clinical.tsv after the site's own names, units and values are turned into the study's."""

import pandas as pd

from shared.cohort.sheets import refuse
from shared.cohort.tables import read_clinical, read_exclusions
from shared.site import ColumnRule, Site

__all__ = ["mapped_clinical", "read_patients_of", "values_before_mapping"]


def read_patients_of(site: Site) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The mapped clinical table (P rows in the order of case_id, all strings) and the case ids that exclude.csv leaves out."""
    clinical = mapped_clinical(read_clinical(site.data), site)
    excluded = clinical["case_id"].isin(read_exclusions(site.data))
    return clinical[~excluded].reset_index(drop=True), tuple(clinical["case_id"][excluded])


def mapped_clinical(clinical: pd.DataFrame, site: Site) -> pd.DataFrame:
    """Apply the site file's [columns], then [values]; columns without a rule stay as they are.

    Raises
    ------
    CohortError
        A rule names a column that clinical.tsv lacks, or scales one that holds words.
    """
    path = site.data / "clinical.tsv"
    values = {name: values_before_mapping(clinical, site, name) for name in sorted({*site.columns, *site.values})}
    absent = sorted(name for name, column in values.items() if column is None)
    refuse(
        path,
        [
            f"expected the column {site.column_rule(name).source!r}, from which the site file makes {name!r}, got none; "
            "correct [columns] or [values] in the site file"
            for name in absent
        ],
    )
    mapped = clinical.copy()
    for name, column in values.items():
        if column is not None:
            mapped[name] = column.map(lambda value, words=site.values.get(name, {}): words.get(value, value))
    return mapped


def values_before_mapping(clinical: pd.DataFrame, site: Site, name: str) -> "pd.Series[str] | None":
    """The study's column `name` in the study's unit, still in the site's own words; None if the site has no such column."""
    rule = site.column_rule(name)
    if rule.source not in clinical.columns:
        return None
    column = clinical[rule.source]
    return column if rule.factor == 1 else _scaled(column, rule, site, name)


def _scaled(column: "pd.Series[str]", rule: ColumnRule, site: Site, name: str) -> "pd.Series[str]":
    numbers = pd.to_numeric(column, errors="coerce")
    words = sorted(set(column[numbers.isna() & (column != "")]))
    refuse(
        site.data / "clinical.tsv",
        [
            f"column {rule.source!r}: expected numbers, since the site file scales it into {name!r}, got {word!r}; "
            "correct the value or the rule in [columns]"
            for word in words
        ],
    )
    return (numbers * rule.factor).map(lambda value: "" if pd.isna(value) else repr(float(value))).astype(object)
