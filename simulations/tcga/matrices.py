"""The tables of a cohort folder as files: equal content gives equal bytes, and a half-written file is never there."""

import gzip
from pathlib import Path

import pandas as pd

from shared.cohort.drafts import replacing

__all__ = ["write_expression", "write_patients_by_genes", "write_rows"]


def write_rows(path: Path, table: pd.DataFrame) -> None:
    """A table of words, tab-separated."""
    with replacing(path) as draft:
        table.to_csv(draft, sep="\t", index=False)


def write_expression(path: Path, table: pd.DataFrame) -> None:
    """expression.tsv.gz: (genes, patients), sorted by both."""
    table = table.sort_index(axis="index").sort_index(axis="columns")
    with (
        replacing(path) as draft,
        draft.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, compresslevel=6, filename="") as file,
    ):
        table.to_csv(file, sep="\t", index_label="gene_symbol", float_format="%.6g")


def write_patients_by_genes(path: Path, table: pd.DataFrame) -> None:
    """mutations.tsv or copy_number.tsv: (patients, genes), sorted by both; whole numbers, empty where missing."""
    table = table.sort_index(axis="index").sort_index(axis="columns")
    with replacing(path) as draft:
        table.to_csv(draft, sep="\t", index_label="case_id", float_format="%.6g")
