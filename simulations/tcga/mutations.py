"""Mutations of a cohort from MAF files: patients by genes, 1 where the protein is changed."""

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from client.prepare.expression.maf import Maf, read_maf
from shared.errors import CohortError

__all__ = ["SHARE", "mutation_table"]

SHARE = 0.02
"""A gene is kept from this share of the sequenced patients on, where no list of genes is given."""


def mutation_table(samples: Mapping[str, tuple[Path, str]], genes: Collection[str] | None) -> pd.DataFrame:
    """0 and 1 (patients, genes); every patient of `samples` was sequenced.

    `samples` is case_id -> (MAF, the barcode in it that stands for the patient). `genes` are those to keep, 0 for all
    where no MAF names them; None = genes that are mutated in at least SHARE of the patients. NaN where all that is
    known is a variant of a class that mmfed does not know.

    Raises
    ------
    CohortError
        A file is malformed, or holds variants but none of the patient's sample.
    """
    mafs: dict[Path, Maf] = {}
    mutated: dict[str, set[str]] = {}
    doubtful: dict[str, set[str]] = {}
    for case, (path, sample) in sorted(samples.items()):
        if path not in mafs:
            mafs[path] = read_maf(path)
        maf = mafs[path]
        if maf.samples and sample not in maf.samples:
            raise CohortError(
                f"{path.name}: expected variants of the tumour sample that the GDC names for the file, got those of "
                "another sample; delete the file and fetch it again"
            )
        mutated[case] = {gene for gene, name in maf.mutated if name == sample}
        doubtful[case] = {gene for gene, name in maf.doubtful if name == sample}
        if len(maf.samples) < 2:
            del mafs[path]  # a file a patient: hundreds of them would fill the memory
    counts = Counter(gene for found in mutated.values() for gene in found)
    kept = sorted(genes) if genes is not None else [g for g, n in sorted(counts.items()) if n >= SHARE * len(samples)]
    values = np.zeros((len(mutated), len(kept)))
    for row, case in enumerate(mutated):
        for column, gene in enumerate(kept):
            values[row, column] = 1.0 if gene in mutated[case] else np.nan if gene in doubtful[case] else 0.0
    return pd.DataFrame(values, index=list(mutated), columns=kept)
