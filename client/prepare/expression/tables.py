"""Gene expression: from what a site has to an array over the study's vocabulary."""

import numpy as np
import pandas as pd

from client.prepare.expression.alterations import aux_table
from client.prepare.expression.gene_names import GeneNames, some
from client.prepare.expression.readings import Readings, readings_of, reason
from client.prepare.expression.scale import on_log_scale, scale_fault
from client.prepare.expression.sources import Source, expression_source, record_unread
from client.prepare.expression.star_folder import read_star_folder
from client.prepare.patients import Roster
from client.prepare.report import PrepareReport
from shared.cohort.sheets import read_matrix, refuse
from shared.cohort.store_files import Table
from shared.errors import CohortError
from shared.site import Site

__all__ = ["CONSTANT_FROM", "aux_table", "constant_genes", "expression_table"]

CONSTANT_FROM = 3
"""Patients from which on a gene with one value for all counts as not measured."""


def expression_table(site: Site, roster: Roster, genes: tuple[str, ...], report: PrepareReport) -> Table:
    """Values (P, U) on the log2 or z scale, neither clipped nor normalised.

    Rows of one gene are merged first, by `expression.duplicates` and on the scale of the file; then `tpm` and `counts`
    (scaled to a million per sample) become log2(x + 1). A gene that the site lacks, or that has one value for all its
    patients, is not observed. A malformed file is left out with its reason, and nobody has expression.
    """
    nobody = roster.as_table(np.full((len(roster.table), len(genes)), np.nan), genes)
    record_unread(site.data, "expression", report)
    source = expression_source(site.data)
    if source is None:
        return nobody
    source.record(report)
    try:
        readings = _read(source, site, genes, roster, report)
    except CohortError as exc:
        report.add(source.name, "left out", reason(exc, site))
        return nobody
    readings.rows.record(source.name, site.expression.duplicates, report)
    merged = readings.merged(site.expression.duplicates)
    flat = constant_genes(merged)
    _record_unobserved(source.name, genes, merged, flat, report)
    scaled = on_log_scale(merged, readings.totals, site.expression.scale).drop(index=list(flat))
    wanted = scaled.reindex(index=list(genes), columns=roster.case_ids)
    patients, there = int(wanted.notna().any().sum()), int(wanted.notna().any(axis=1).sum())
    report.add(
        source.name,
        "noted" if source.path.is_dir() else "used",  # the files in a folder have rows of their own
        f"{patients} patients, {there} of {len(genes)} genes",
    )
    return roster.as_table(wanted.to_numpy(dtype=np.float64).T, genes)


def constant_genes(table: pd.DataFrame) -> frozenset[str]:
    """Genes (rows) that have the same value for all of at least CONSTANT_FROM patients."""
    several = table.notna().sum(axis=1) >= CONSTANT_FROM
    return frozenset(table.index[several & (table.max(axis=1) == table.min(axis=1))])


def _read(source: Source, site: Site, genes: tuple[str, ...], roster: Roster, report: PrepareReport) -> Readings:
    names = GeneNames.read(site)
    if source.path.is_dir():
        return read_star_folder(site, names, genes, roster, report)
    table = read_matrix(source.path)
    fault = scale_fault(table, site.expression.scale)
    refuse(source.path, [fault] if fault else [])
    return readings_of(table, source.name, names, genes, roster, report)


def _record_unobserved(
    file: str, genes: tuple[str, ...], merged: pd.DataFrame, flat: frozenset[str], report: PrepareReport
) -> None:
    lacking = [gene for gene in genes if gene not in merged.index]
    constant = [gene for gene in genes if gene in flat]
    for names, why in ((lacking, "not in the table"), (constant, "one value for all patients")):
        if names:
            report.add(file, "noted", f"{len(names)} of {len(genes)} genes not observed, {why}: {some(names)}")
