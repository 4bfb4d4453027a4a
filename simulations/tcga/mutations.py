"""Mutations of a cohort from MAF files: patients by genes, 1 where the protein is changed."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from client.prepare.expression.maf import Maf, read_maf
from shared.errors import CohortError

__all__ = ["SHARE", "Altered", "altered_by_sample", "altered_table", "mutation_table"]

SHARE = 0.02
"""A gene is kept from this share of the sequenced patients on, where no list of genes is given."""


@dataclass(frozen=True)
class Altered:
    """Genes of one sample: changed for certain, or perhaps."""

    mutated: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)


def mutation_table(samples: Mapping[str, tuple[Path, str]], genes: Collection[str] | None) -> pd.DataFrame:
    """0 and 1 (patients, genes) from MAF files; every patient of `samples` was sequenced.

    `samples` is case_id -> (MAF, the barcode in it that stands for the patient); `genes` as in `altered_table`.

    Raises
    ------
    CohortError
        A file is malformed, or holds variants but none of the patient's sample.
    """
    mafs: dict[Path, Maf] = {}
    found: dict[str, Altered] = {}
    for case, (path, sample) in sorted(samples.items()):
        if path not in mafs:
            mafs[path] = read_maf(path)
        maf = mafs[path]
        if maf.samples and sample not in maf.samples:
            raise CohortError(
                f"{path.name}: expected variants of the tumour sample that the GDC names for the file, got those of "
                "another sample; delete the file and fetch it again"
            )
        found[case] = altered_by_sample(maf).get(sample, Altered())
        if len(maf.samples) < 2:
            del mafs[path]  # a file a patient: hundreds of them would fill the memory
    return altered_table(found, genes)


def altered_by_sample(maf: Maf) -> dict[str, Altered]:
    """Barcode -> the genes that are mutated there, or may be."""
    found: dict[str, Altered] = {}
    for gene, sample in maf.mutated:
        found.setdefault(sample, Altered()).mutated.add(gene)
    for gene, sample in maf.doubtful:
        found.setdefault(sample, Altered()).doubtful.add(gene)
    return found


def altered_table(found: Mapping[str, Altered], genes: Collection[str] | None) -> pd.DataFrame:
    """1 mutated, 0 not (patients, genes); NaN where all that is known is a variant of a class mmfed does not know.

    `found` has every patient that was sequenced. `genes` are those to keep, 0 for all where nobody has them; None =
    genes that are mutated in at least SHARE of the patients.
    """
    counts = Counter(gene for altered in found.values() for gene in altered.mutated)
    kept = sorted(genes) if genes is not None else [g for g, n in sorted(counts.items()) if n >= SHARE * len(found)]
    values = np.zeros((len(found), len(kept)))
    for row, altered in enumerate(found.values()):
        for column, gene in enumerate(kept):
            values[row, column] = 1.0 if gene in altered.mutated else np.nan if gene in altered.doubtful else 0.0
    return pd.DataFrame(values, index=list(found), columns=kept)
