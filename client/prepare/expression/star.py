"""One file of GDC's STAR counts: a line a gene, with its counts, TPM and FPKM."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.cohort.sheets import read_text, refuse

__all__ = ["StarFile", "read_star"]

COLUMNS = ("gene_id", "gene_name", "gene_type", "unstranded", "tpm_unstranded")
SUMMARY = "N_"
"""How the lines begin that count reads of no gene (N_unmapped, N_multimapping, N_noFeature, N_ambiguous)."""


@dataclass(frozen=True, eq=False)
class StarFile:
    """The lines of one sample; numbers are only read where they are asked for."""

    path: Path
    columns: dict[str, int]
    lines: list[str]  # one a gene
    first_line: int  # number of lines[0] in the file, from 1

    @cached_property
    def gene_ids(self) -> list[str]:
        """Ensembl ids with version, in the order of the file."""
        return self._cells("gene_id", self.lines)

    @property
    def symbols(self) -> list[str]:
        """Symbols in the order of the file."""
        return self._cells("gene_name", self.lines)

    @property
    def gene_types(self) -> list[str]:
        """Kinds of gene, such as protein_coding, in the order of the file."""
        return self._cells("gene_type", self.lines)

    def values(self, column: str, positions: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Numbers of a column, of all genes or of those at `positions`.

        Raises
        ------
        CohortError
            A cell is no finite number of 0 or above.
        """
        where = range(len(self.lines)) if positions is None else positions.tolist()
        cells = self._cells(column, (self.lines[i] for i in where))
        numbers = [_number(cell) for cell in cells]
        refuse(
            self.path,
            [
                f"line {position + self.first_line}: expected a {column} of 0 or above, got '{cell}'; "
                "download the file again"
                for position, cell, number in zip(where, cells, numbers, strict=True)
                if not 0 <= number < math.inf
            ],
        )
        return np.array(numbers, dtype=np.float64)

    def _cells(self, column: str, lines: Iterable[str]) -> list[str]:
        index = self.columns[column]
        return [line.split("\t", index + 1)[index] for line in lines]


def read_star(path: Path) -> StarFile:
    """Read a file `*.rna_seq.augmented_star_gene_counts.tsv`, gzipped or not.

    Lines that begin with '#' come before the header; the lines N_unmapped and so on are left out.

    Raises
    ------
    CohortError
        The file cannot be read, is not of this layout or has ragged lines, as a broken download has.
    """
    lines = read_text(path).split("\n")
    head = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines) - 1)
    header = lines[head].split("\t")
    columns = {name: header.index(name) for name in COLUMNS if name in header}
    refuse(
        path,
        [
            f"line {head + 1}: expected a column {name!r} as in GDC's STAR counts, got none; download the file again"
            for name in COLUMNS
            if name not in columns
        ],
    )
    tabs = len(header) - 1
    refuse(
        path,
        [
            f"line {number}: expected {tabs + 1} cells, got {line.count(chr(9)) + 1}; download the file again"
            for number, line in enumerate(lines[head + 1 :], start=head + 2)
            if line.count("\t") != tabs
        ],
    )
    start = head + 1
    while start < len(lines) and lines[start].startswith(SUMMARY):
        start += 1
    refuse(path, [] if start < len(lines) else ["expected a line a gene, got none; download the file again"])
    return StarFile(path, columns, lines[start:], start + 1)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
