"""Values of the study's genes as a source holds them, one column a patient: what every reader of genomics returns."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from client.prepare.expression.gene_names import GeneNames, GeneRows
from client.prepare.expression.samples import take
from client.prepare.patients import Roster
from client.prepare.report import PrepareReport
from shared.site import Site

__all__ = ["Duplicates", "Readings", "readings_of", "reason", "relative"]

Duplicates = Literal["mean", "max", "first"]
Floats = NDArray[np.float64]

NO_GENE = re.compile(r"__\w+|N_(?:unmapped|multimapping|noFeature|ambiguous)")
"""Rows that htseq-count and STAR add to tables of counts."""


@dataclass(frozen=True, eq=False)
class Readings:
    """R rows of the study's genes in S patients, on the scale of the source."""

    file: str  # as the report names the source
    rows: GeneRows
    values: Floats  # (R, S), NaN where missing
    totals: Floats  # (S,) sum over all rows of the source, those of no use to the study included
    case_ids: tuple[str, ...]  # S

    def merged(self, duplicates: Duplicates) -> pd.DataFrame:
        """(genes, patients): rows of one gene become one by `duplicates`, on the scale of the source, without NaN."""
        table = pd.DataFrame(self.values, index=list(self.rows.symbols), columns=list(self.case_ids), dtype=np.float64)
        if table.index.is_unique:
            return table
        groups = table.groupby(level=0, sort=False)
        return groups.mean() if duplicates == "mean" else groups.max() if duplicates == "max" else groups.first()


def readings_of(
    table: pd.DataFrame, file: str, names: GeneNames, genes: tuple[str, ...], roster: Roster, report: PrepareReport
) -> Readings:
    """Take the study's genes and one sample a patient from a table (genes, samples); reads of no gene do not count."""
    table = table[[not NO_GENE.fullmatch(name) for name in table.index]]
    taken = take(table.columns, roster, file, report)
    rows = names.rows(list(table.index), genes)
    columns = table[list(taken.values())].to_numpy()
    return Readings(file, rows, columns[rows.positions], np.nansum(columns, axis=0), tuple(taken))


def reason(exc: Exception, site: Site) -> str:
    """An error as one cell of the report: one line, files relative to the site file."""
    text = "; ".join(line.strip() for line in str(exc).splitlines())
    return text.replace(f"{site.path('')}/", "")


def relative(path: Path, site: Site) -> str:
    """A file of the data folder as the report names it."""
    return path.relative_to(site.data).as_posix()
