"""Mutations and copy number: from a site's tables to an array over the columns that the study names."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from client.prepare.expression.gene_names import GeneNames, some
from client.prepare.expression.maf import read_mutation_table
from client.prepare.expression.readings import Duplicates, readings_of, reason
from client.prepare.expression.sources import Source, aux_source, record_unread
from client.prepare.patients import Roster
from client.prepare.report import PrepareReport
from shared.cohort.sheets import read_matrix, refuse
from shared.cohort.store_files import Table
from shared.cohort.tables import AUX_TABLES, AuxTable
from shared.errors import CohortError
from shared.site import Site

__all__ = ["aux_table"]

GISTIC_NAMES, GISTIC_WORDS = "Gene Symbol", ("Locus ID", "Cytoband")


def aux_table(site: Site, roster: Roster, columns: tuple[str, ...], report: PrepareReport) -> Table:
    """Mutations and copy number (P, A) as the site wrote them; a column the site lacks is not observed.

    A table of patients by genes is taken as it is; a MAF becomes 0 and 1 (`read_mutation_table`); of GISTIC's
    all_thresholded.by_genes.txt the numbers -2 to 2. Where several columns are one gene, a patient has a mutation if
    any says so, and the copy number that `expression.duplicates` makes of them. A malformed file is left out.
    """
    values = np.full((len(roster.table), len(columns)), np.nan)
    for name in AUX_TABLES:
        genes = {i: column.partition(":")[2] for i, column in enumerate(columns) if column.startswith(f"{name}:")}
        if not genes:
            continue
        record_unread(site.data, name, report)
        source = aux_source(site.data, name)
        if source is None:
            continue
        source.record(report)
        try:
            found = _altered(source, name, tuple(genes.values()), site, roster, report)
        except CohortError as exc:
            report.add(source.name, "left out", reason(exc, site))
        else:
            values[:, list(genes)] = found
    return roster.as_table(values, columns)


def _altered(
    source: Source, name: AuxTable, genes: tuple[str, ...], site: Site, roster: Roster, report: PrepareReport
) -> NDArray[np.float64]:
    """One of the tables over the roster's patients: (P, genes)."""
    duplicates: Duplicates = "max" if name == "mutations" else site.expression.duplicates
    table = _genes_by_samples(source, roster, report)
    readings = readings_of(table, source.name, GeneNames.read(site), genes, roster, report)
    readings.rows.record(source.name, duplicates, report)
    merged = readings.merged(duplicates)
    lacking = [gene for gene in genes if gene not in merged.index]
    if lacking:
        report.add(
            source.name, "noted", f"{len(lacking)} of {len(genes)} genes not observed, not there: {some(lacking)}"
        )
    wanted = merged.reindex(index=list(genes), columns=roster.case_ids)
    patients, measured = int(wanted.notna().any().sum()), int(wanted.notna().any(axis=1).sum())
    report.add(source.name, "used", f"{patients} patients, {measured} of {len(genes)} genes")
    return wanted.to_numpy(dtype=np.float64).T


def _genes_by_samples(source: Source, roster: Roster, report: PrepareReport) -> pd.DataFrame:
    path = source.path
    if ".maf" in path.suffixes:
        return read_mutation_table(path, {*roster.case_ids, *roster.excluded}, report)
    if path.name.endswith(".by_genes.txt"):
        table = read_matrix(path, words=GISTIC_WORDS)
        expected = [] if table.index.name == GISTIC_NAMES else [f"line 1: expected {GISTIC_NAMES!r} first, got others"]
        refuse(path, [f"{fault}; copy GISTIC's own file" for fault in expected])
        return table.set_axis([name.split("|")[0] for name in table.index], axis="index")
    table = read_matrix(path)
    repeats = table.index.duplicated()
    refuse(
        path,
        [
            f"line {row + 2}: expected every patient once, got one again; remove one"
            for row in np.flatnonzero(repeats).tolist()
        ],
    )
    return table.T
