"""Gene expression, mutations and copy number: from a site's tables to arrays over the study's vocabulary."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from client.prepare.report import PrepareReport
from shared.cohort.sheets import find_file, refuse
from shared.cohort.store_files import Table
from shared.cohort.tables import AUX_TABLES, read_expression, read_patients_by_genes
from shared.site import Site

__all__ = ["CONSTANT_FROM", "aux_table", "constant_genes", "expression_table"]

CONSTANT_FROM = 3
"""Patients from which on a gene with one value for all counts as not measured."""


def expression_table(site: Site, patients: pd.DataFrame, genes: tuple[str, ...], report: PrepareReport) -> Table:
    """Values (P, U) on the log2 or z scale, neither clipped nor normalised; P in the order of `patients`.

    `tpm` and `counts` (scaled to a million per sample first) become log2(x + 1). A gene that the site lacks, or that has one value
    for all its patients, is not observed.

    Raises
    ------
    CohortError
        The table is malformed, or its values contradict `expression.scale` of the site file.
    """
    table = read_expression(site.data)
    if table is None:
        return _empty(patients, genes)
    _note_strangers(table.columns, patients, "expression.tsv", report)
    scaled = _on_log_scale(table, site)
    flat = constant_genes(scaled)
    lacking = [gene for gene in genes if gene not in table.index]
    for names, what in ((lacking, "not in the table"), ([g for g in genes if g in flat], "one value for all patients")):
        if names:
            report.add("expression.tsv", "noted", f"{len(names)} of {len(genes)} genes not observed ({what}): {_some(names)}")
    wanted = scaled.drop(index=list(flat)).reindex(index=list(genes), columns=list(patients["case_id"]))
    report.add("expression.tsv", "used", f"{int(wanted.notna().any().sum())} patients, {len(genes) - len(lacking)} genes")
    return _as_table(wanted.to_numpy().T, patients, genes)


def aux_table(site: Site, patients: pd.DataFrame, columns: tuple[str, ...], report: PrepareReport) -> Table:
    """Mutations and copy number (P, A) as the site wrote them; a column the site lacks is not observed."""
    values = np.full((len(patients), len(columns)), np.nan)
    for name in AUX_TABLES:
        wanted = {i: column.removeprefix(f"{name}:") for i, column in enumerate(columns) if column.startswith(f"{name}:")}
        table = read_patients_by_genes(site.data, name) if wanted else None
        if table is None:
            continue
        _note_strangers(table.index, patients, f"{name}.tsv", report)
        found = table.reindex(index=list(patients["case_id"]), columns=list(wanted.values()))
        values[:, list(wanted)] = found.to_numpy()
        report.add(f"{name}.tsv", "used", f"{int(found.notna().any(axis=1).sum())} patients, {len(wanted)} columns")
    return _as_table(values, patients, columns)


def constant_genes(table: pd.DataFrame) -> frozenset[str]:
    """Genes (rows) that have the same value for all of at least CONSTANT_FROM patients."""
    measured = table.notna().sum(axis=1) >= CONSTANT_FROM
    return frozenset(table.index[measured & (table.max(axis=1) == table.min(axis=1))])


def _on_log_scale(table: pd.DataFrame, site: Site) -> pd.DataFrame:
    scale = site.expression.scale
    if scale in ("log2", "z"):
        return table
    path = find_file(site.data, "expression.tsv", "expression.tsv.gz")
    lowest = np.nanmin(table.to_numpy(), initial=0.0)
    if lowest < 0 and path:
        refuse(
            path,
            [
                f"expected values of 0 and above, since expression.scale of the site file is {scale!r}, got {lowest:g}; "
                'write scale = "log2" or "z" if that is what they are'
            ],
        )
    if scale == "counts":
        table = table / table.sum().replace(0, np.nan) * 1e6
    return np.log2(table + 1)


def _note_strangers(names: pd.Index, patients: pd.DataFrame, file: str, report: PrepareReport) -> None:
    for case_id in sorted(set(names) - set(patients["case_id"]) - report.excluded):
        report.add(file, "left out", "not in clinical.tsv", case_id=case_id)


def _as_table(values: NDArray[np.float64], patients: pd.DataFrame, columns: tuple[str, ...]) -> Table:
    observed = np.isfinite(values)
    return Table(np.where(observed, values, 0).astype(np.float32), observed, columns, tuple(patients["key"]))


def _empty(patients: pd.DataFrame, columns: tuple[str, ...]) -> Table:
    return _as_table(np.full((len(patients), len(columns)), np.nan), patients, columns)


def _some(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
