"""Expression of a cohort from the GDC's STAR counts: TPM, genes by patients."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from client.prepare.expression.gene_names import GeneNames, GeneRows
from client.prepare.expression.star import StarFile, read_star
from shared.errors import CohortError

__all__ = ["CODING", "expression_table"]

COLUMN = "tpm_unstranded"
CODING = "protein_coding"


def expression_table(paths: Mapping[str, Path], genes: Collection[str] | None) -> pd.DataFrame:
    """TPM (genes, patients) of the STAR files `paths` (case_id -> file).

    `genes` are those to keep; None = all that the files call protein-coding. Rows of one symbol are averaged, rows of
    the pseudoautosomal region of Y are not used (`client.prepare.expression`). NaN where a file lacks a gene.

    Raises
    ------
    CohortError
        A file is malformed, or none has any of the genes.
    """
    layouts: dict[tuple[str, ...], GeneRows] = {}  # files of one gene model share theirs
    columns: dict[str, pd.Series[float]] = {}
    for case, path in sorted(paths.items()):
        file = read_star(path)
        ids = tuple(file.gene_ids)
        if ids not in layouts:
            layouts[ids] = _rows(file, genes)
        rows = layouts[ids]
        values = pd.Series(file.values(COLUMN, rows.positions), index=list(rows.symbols), dtype=np.float64)
        columns[case] = values if values.index.is_unique else values.groupby(level=0).mean()
    table = pd.DataFrame(columns)
    if table.empty:
        raise CohortError(
            f"expression: expected genes that the STAR counts have, got none of {len(genes or ())}; "
            "name a GMT file of gene symbols with --genes"
        )
    return table


def _rows(file: StarFile, genes: Collection[str] | None) -> GeneRows:
    symbols = file.symbols
    if genes is None:
        genes = {symbol for symbol, kind in zip(symbols, file.gene_types, strict=True) if kind == CODING}
    return GeneNames().rows(file.gene_ids, genes, symbols)
