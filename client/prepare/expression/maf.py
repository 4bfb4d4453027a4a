"""Mutations in MAF, the Mutation Annotation Format: a line a variant of a tumour sample."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from client.prepare.expression.gene_names import some
from client.prepare.expression.samples import assign
from client.prepare.expression.sources import SEQUENCED
from client.prepare.report import PrepareReport
from shared.cohort.sheets import read_text, refuse

__all__ = ["CHANGING", "SILENT", "Maf", "read_maf", "read_mutation_table"]

CHANGING = frozenset(
    [
        "De_novo_Start_InFrame",
        "De_novo_Start_OutOfFrame",
        "Frame_Shift_Del",
        "Frame_Shift_Ins",
        "In_Frame_Del",
        "In_Frame_Ins",
        "Missense_Mutation",
        "Nonsense_Mutation",
        "Nonstop_Mutation",
        "Splice_Site",
        "Start_Codon_Del",
        "Start_Codon_Ins",
        "Start_Codon_SNP",
        "Stop_Codon_Del",
        "Stop_Codon_Ins",
        "Translation_Start_Site",
    ]
)
"""Classes that change the protein: the gene counts as mutated."""

SILENT = frozenset(
    [
        "3'Flank",
        "3'UTR",
        "5'Flank",
        "5'UTR",
        "COULD_NOT_DETERMINE",
        "IGR",
        "Intron",
        "lincRNA",
        "RNA",
        "Silent",
        "Splice_Region",
        "Targeted_Region",
    ]
)
"""Classes that do not: the patient was sequenced, the gene does not count as mutated. 5'Flank holds TERT's promoter."""

COLUMNS = ("Hugo_Symbol", "Variant_Classification", "Tumor_Sample_Barcode")


@dataclass(frozen=True)
class Maf:
    """What a MAF says of genes and samples."""

    samples: frozenset[str]
    genes: frozenset[str]
    mutated: frozenset[tuple[str, str]]  # (gene, sample)
    doubtful: frozenset[tuple[str, str]]  # (gene, sample) that only have variants of classes in `unknown`
    unknown: Counter[str]  # class in neither list -> lines
    unnamed: int  # lines without a gene that are not silent


def read_maf(path: Path) -> Maf:
    """Read a MAF, gzipped or not; lines before the header may begin with '#'.

    Raises
    ------
    CohortError
        The file cannot be read, lacks a column, has ragged lines or a line without a sample.
    """
    variants = _variants(path)
    named = [variant for variant in variants if variant[0]]
    mutated = frozenset((gene, sample) for gene, class_, sample in named if class_ in CHANGING)
    doubtful = frozenset((gene, sample) for gene, class_, sample in named if class_ not in CHANGING | SILENT)
    return Maf(
        samples=frozenset(sample for _, _, sample in variants),
        genes=frozenset(gene for gene, _, _ in named),
        mutated=mutated,
        doubtful=doubtful - mutated,
        unknown=Counter(class_ or "(empty)" for _, class_, _ in variants if class_ not in CHANGING | SILENT),
        unnamed=sum(not gene and class_ not in SILENT for gene, class_, _ in variants),
    )


def _variants(path: Path) -> list[tuple[str, str, str]]:
    """Gene, class and sample of every line."""
    lines = read_text(path).split("\n")
    head = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines) - 1)
    header = lines[head].split("\t")
    refuse(
        path, [f"line {head + 1}: expected a column {n!r}, got none; export a MAF" for n in COLUMNS if n not in header]
    )
    where = [header.index(name) for name in COLUMNS]
    variants, faults = [], []
    for number, line in enumerate(lines[head + 1 :], start=head + 2):
        cells = line.split("\t")
        if len(cells) != len(header):
            faults.append(f"line {number}: expected {len(header)} cells, got {len(cells)}; mend the line")
            continue
        gene, class_, sample = (cells[i].strip() for i in where)
        if not sample:
            faults.append(f"line {number}: expected a Tumor_Sample_Barcode, got nothing; fill it")
        variants.append((gene, class_, sample))
    refuse(path, faults)
    return variants


def read_mutation_table(path: Path, case_ids: Collection[str], report: PrepareReport) -> pd.DataFrame:
    """A MAF as a table (genes, samples): 1 mutated, 0 not, NaN where only a class that mmfed does not know says so.

    Every sample of the MAF was sequenced, and so was every patient whom mutations_sequenced.txt beside it lists (one
    case_id or sample a line): patients without any variant. A gene that no line names is not in the table, since a
    panel may not hold it.
    """
    maf = read_maf(path)
    if maf.unknown:
        report.add(
            path.name,
            "left out",
            f"{maf.unknown.total()} variants of classes that mmfed does not know: {some(sorted(maf.unknown))}; "
            "write the class as the MAF format does",
        )
    if maf.unnamed:
        report.add(path.name, "left out", f"{maf.unnamed} variants without a gene; name it")
    genes, samples = sorted(maf.genes), sorted(maf.samples | _unlisted(path, maf.samples, case_ids))
    row, column = {gene: i for i, gene in enumerate(genes)}, {sample: i for i, sample in enumerate(samples)}
    values = np.zeros((len(genes), len(samples)))
    for pairs, value in ((maf.mutated, 1.0), (maf.doubtful, np.nan)):
        for gene, sample in pairs:
            values[row[gene], column[sample]] = value
    return pd.DataFrame(values, index=genes, columns=samples)


def _unlisted(path: Path, samples: frozenset[str], case_ids: Collection[str]) -> frozenset[str]:
    """Names in mutations_sequenced.txt of patients who have no sample in the MAF."""
    listed = path.with_name(SEQUENCED)
    if not listed.is_file():
        return frozenset()
    names = {line.strip() for line in read_text(listed).split("\n")} - {""}
    patients = assign(samples, case_ids).tumour
    of_patients = {s.name for group in assign(names, patients).tumour.values() for s in group}
    return frozenset(names - of_patients)
