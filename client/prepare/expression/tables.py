"""Gene expression, mutations and copy number: from a site's tables to arrays over the study's vocabulary."""

import numpy as np
import pandas as pd

from client.prepare.expression.scale import scale_fault
from client.prepare.patients import Roster
from client.prepare.report import PrepareReport
from shared.cohort.sheets import find_file, refuse
from shared.cohort.store_files import Table
from shared.cohort.tables import AUX_TABLES, read_expression, read_patients_by_genes
from shared.site import Site

__all__ = ["CONSTANT_FROM", "aux_table", "constant_genes", "expression_table"]

CONSTANT_FROM = 3
"""Patients from which on a gene with one value for all counts as not measured."""

NAMES_SHOWN = 10


def expression_table(site: Site, roster: Roster, genes: tuple[str, ...], report: PrepareReport) -> Table:
    """Values (P, U) on the log2 or z scale, neither clipped nor normalised.

    `tpm` and `counts` (scaled to a million per sample first) become log2(x + 1). A gene that the site lacks, or that
    has one value for all its patients, is not observed.

    Raises
    ------
    CohortError
        The table is malformed, or its values contradict `expression.scale` of the site file.
    """
    table = read_expression(site.data)
    if table is None:
        return roster.as_table(np.full((len(roster.table), len(genes)), np.nan), genes)
    _record_strangers("expression.tsv", table.columns, roster, report)
    flat = constant_genes(table)
    lacking = [gene for gene in genes if gene not in table.index]
    constant = [gene for gene in genes if gene in flat]
    for names, why in ((lacking, "not in the table"), (constant, "one value for all patients")):
        if names:
            report.add(
                "expression.tsv", "noted", f"{len(names)} of {len(genes)} genes not observed, {why}: {_some(names)}"
            )
    scaled = _on_log_scale(table, site).drop(index=list(flat))
    wanted = scaled.reindex(index=list(genes), columns=roster.case_ids)
    measured = f"{int(wanted.notna().any(axis=1).sum())} of {len(genes)} genes"
    report.add("expression.tsv", "used", f"{int(wanted.notna().any().sum())} patients, {measured}")
    return roster.as_table(wanted.to_numpy().T, genes)


def aux_table(site: Site, roster: Roster, columns: tuple[str, ...], report: PrepareReport) -> Table:
    """Mutations and copy number (P, A) as the site wrote them; a column the site lacks is not observed."""
    values = np.full((len(roster.table), len(columns)), np.nan)
    for name in AUX_TABLES:
        genes = {
            i: column.removeprefix(f"{name}:") for i, column in enumerate(columns) if column.startswith(f"{name}:")
        }
        table = read_patients_by_genes(site.data, name) if genes else None
        if table is None:
            continue
        _record_strangers(f"{name}.tsv", table.index, roster, report)
        found = table.reindex(index=roster.case_ids, columns=list(genes.values()))
        values[:, list(genes)] = found.to_numpy()
        measured = f"{int(found.notna().any().sum())} of {len(genes)} genes"
        report.add(f"{name}.tsv", "used", f"{int(found.notna().any(axis=1).sum())} patients, {measured}")
    return roster.as_table(values, columns)


def constant_genes(table: pd.DataFrame) -> frozenset[str]:
    """Genes (rows) that have the same value for all of at least CONSTANT_FROM patients."""
    measured = table.notna().sum(axis=1) >= CONSTANT_FROM
    return frozenset(table.index[measured & (table.max(axis=1) == table.min(axis=1))])


def _on_log_scale(table: pd.DataFrame, site: Site) -> pd.DataFrame:
    scale = site.expression.scale
    path = find_file(site.data, "expression.tsv", "expression.tsv.gz") or site.data
    if scale == "log2" or scale == "z":
        fault = scale_fault(table, scale)
        refuse(path, [fault] if fault else [])
        return table
    lowest = float(table.min().min())
    if lowest < 0:
        refuse(
            path,
            [
                f"expected values of 0 and above, since the site file says expression.scale = {scale!r}, "
                f'got {lowest:g}; write scale = "log2" or "z" if that is what they are'
            ],
        )
    if scale == "counts":
        table = table / table.sum().replace(0, np.nan) * 1e6
    return pd.DataFrame(np.log2(table.to_numpy() + 1), index=table.index, columns=table.columns)


def _record_strangers(file: str, case_ids: pd.Index, roster: Roster, report: PrepareReport) -> None:
    for case_id in roster.strangers(case_ids):
        report.add(file, "left out", "not in clinical.tsv", case_id=case_id)


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + (
        f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    )
