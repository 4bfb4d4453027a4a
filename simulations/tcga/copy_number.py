"""Copy number of a cohort from the GDC's gene-level files: patients by genes, on GISTIC's scale of -2 to 2."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shared.cohort.sheets import read_matrix, read_sheet, refuse
from shared.errors import CohortError

__all__ = ["LIMITS", "copy_number_table", "on_gistic_scale"]

WORDS = ("gene_name", "chromosome")
COLUMN = "copy_number"
SEX = ("chrX", "chrY")
LIMITS = (0.5, 1.5, 2.5, 6.5)
"""Copies up to which a gene counts as -2 (both lost), -1 (one lost), 0 and 1; more than the last is an amplification,
2: 0, 1, 2, 3 to 6, and 7 or more copies."""


def copy_number_table(paths: Mapping[str, Path], genes: Collection[str]) -> pd.DataFrame:
    """-2 to 2 (patients, genes) of the gene-level files `paths` (case_id -> file); NaN where a file has no number.

    Only genes of chromosomes 1 to 22 are there, since of X and Y two copies are not everybody's normal state.

    Raises
    ------
    CohortError
        A file is malformed, or none has any of the genes.
    """
    wanted, layouts = frozenset(genes), dict[tuple[str, ...], dict[str, int]]()
    rows: dict[str, pd.Series[float]] = {}
    for case, path in sorted(paths.items()):
        table = read_matrix(path, words=WORDS)
        refuse(
            path,
            [f"line 1: expected a column {COLUMN!r}, got none; fetch the file again"]
            if COLUMN not in table.columns
            else [],
        )
        ids = tuple(table.index)
        if ids not in layouts:
            layouts[ids] = _places(path, wanted)
        places = layouts[ids]
        copies = table[COLUMN].to_numpy()[list(places.values())]
        rows[case] = pd.Series(on_gistic_scale(copies), index=list(places), dtype=np.float64)
    found = pd.DataFrame(rows).T
    if found.empty:
        raise CohortError(
            f"copy number: expected genes that the GDC's files have, got none of {len(wanted)}; "
            "name a GMT file of gene symbols with --aux-genes"
        )
    return found


def on_gistic_scale(copies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Copies (G,) as -2 to 2 by LIMITS; NaN stays."""
    return np.where(np.isnan(copies), np.nan, np.digitize(copies, LIMITS) - 2.0)


def _places(path: Path, wanted: frozenset[str]) -> dict[str, int]:
    """Gene -> its row in a file; of several the first."""
    sheet = read_sheet(path)
    faults = [f"line 1: expected a column {name!r}, got none; fetch it again" for name in WORDS if name not in sheet]
    refuse(path, faults)
    found: dict[str, int] = {}
    for row, (gene, chromosome) in enumerate(zip(sheet["gene_name"], sheet["chromosome"], strict=True)):
        if gene in wanted and chromosome not in SEX:
            found.setdefault(gene, row)
    return found
