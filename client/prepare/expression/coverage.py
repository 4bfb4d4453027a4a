"""How much of each gene group a site has measured."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from shared.cohort.store_files import Table

__all__ = ["coverage", "observed_genes"]


def coverage(groups: Mapping[str, Sequence[str]], genes: Collection[str]) -> dict[str, tuple[int, int]]:
    """Group -> how many of its genes are among `genes`, and how many it has."""
    found = frozenset(genes)
    return {name: (len(found & set(group)), len(set(group))) for name, group in groups.items()}


def observed_genes(table: Table) -> frozenset[str]:
    """Genes of an expression table that at least one patient has."""
    return frozenset(table.columns[i] for i in np.flatnonzero(table.observed.any(axis=0)))
