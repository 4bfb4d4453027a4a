"""A site's patients: clinical.tsv after the site's own names, units and values are turned into the study's."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shared.cohort.sheets import refuse
from shared.cohort.store_files import Table, patient_key, site_salt
from shared.cohort.tables import read_clinical, read_exclusions
from shared.site import ColumnRule, Site

__all__ = ["Roster", "mapped_clinical", "own_values", "read_roster"]


@dataclass(frozen=True, eq=False)
class Roster:
    """The P patients of a site in the order of case_id, and those whom exclude.csv leaves out."""

    table: pd.DataFrame  # P rows of strings: key, case_id, the clinical columns after mapping
    excluded: dict[str, str]  # case_id -> key

    @property
    def case_ids(self) -> list[str]:
        """P case ids."""
        return list(self.table["case_id"])

    @property
    def keys(self) -> dict[str, str]:
        """case_id -> key."""
        return dict(zip(self.table["case_id"], self.table["key"], strict=True))

    def strangers(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that clinical.tsv does not list."""
        return sorted(set(names) - set(self.case_ids) - set(self.excluded))

    def as_table(self, values: NDArray[np.float64], columns: tuple[str, ...]) -> Table:
        """Values (P, U) with NaN where not observed, as a table of the store."""
        observed = np.isfinite(values)
        return Table(np.where(observed, values, 0).astype(np.float32), observed, columns, tuple(self.table["key"]))


def read_roster(site: Site) -> Roster:
    """Read, map and name the patients of a site; CohortError as `read_clinical` and `mapped_clinical` say."""
    clinical = mapped_clinical(read_clinical(site.data), site)
    salt = site_salt(site.state)
    clinical.insert(0, "key", [patient_key(salt, case_id) for case_id in clinical["case_id"]])
    out = clinical["case_id"].isin(read_exclusions(site.data))
    excluded = dict(zip(clinical["case_id"][out], clinical["key"][out], strict=True))
    return Roster(clinical[~out].reset_index(drop=True), excluded)


def mapped_clinical(clinical: pd.DataFrame, site: Site) -> pd.DataFrame:
    """Apply the site file's [columns], then [values]; columns without a rule stay as they are.

    Raises
    ------
    CohortError
        A rule names a column that clinical.tsv lacks, or scales one that holds words.
    """
    mapped = clinical.copy()
    faults = []
    for name in sorted({*site.columns, *site.values}):
        column = own_values(clinical, site, name)
        if column is None:
            faults.append(
                f"expected the column {site.column_rule(name).source!r}, from which the site file makes {name!r}, "
                "got none; correct [columns] or [values] in the site file"
            )
        else:
            words = site.values.get(name, {})
            mapped[name] = [words.get(value, value) for value in column]
    refuse(site.data / "clinical.tsv", faults)
    return mapped


def own_values(clinical: pd.DataFrame, site: Site, name: str) -> "pd.Series[str] | None":
    """The study's column `name` in the study's unit but the site's own words; None if clinical.tsv lacks its source."""
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
    written = ["" if pd.isna(number) else repr(float(number) * rule.factor) for number in numbers]
    return pd.Series(written, index=column.index, dtype=object)
