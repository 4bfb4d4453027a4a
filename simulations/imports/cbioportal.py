"""A study folder of cBioPortal as a cohort folder (docs.cbioportal.org/file-formats).

Read are data_clinical_patient.txt and data_clinical_sample.txt, whose first lines begin with '#', one
data_mrna_seq_*.txt, data_mutations.txt with case_lists/cases_sequenced.txt, and data_cna.txt. Of several samples of a
patient the one that has data and comes first counts: a primary one first, then by name.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from client.prepare.expression.maf import read_maf
from client.prepare.expression.samples import Kind, Sample, Samples, assign, kind_of_words
from shared.cohort.genes import packaged_panel, vocabulary
from shared.cohort.sheets import find_file, read_matrix, read_text, refuse, require_columns
from shared.errors import BadInput, CohortError
from simulations.imports.clinical_sheet import clinical_columns, read_commented
from simulations.tcga.barcodes import is_tcga
from simulations.tcga.matrices import write_expression, write_patients_by_genes, write_rows
from simulations.tcga.mutations import SHARE, Altered, altered_by_sample, altered_table

__all__ = ["import_cbioportal"]

PATIENTS, SAMPLES = "data_clinical_patient.txt", "data_clinical_sample.txt"
MUTATIONS = ("data_mutations.txt", "data_mutations_extended.txt")
CNA = ("data_cna.txt", "data_CNA.txt")
GENE, WORDS = "Hugo_Symbol", ("Entrez_Gene_Id", "Cytoband")
PREFERRED = ("tpm", "fpkm", "rpkm", "rsem")
PLACES = ("center", "centre", "institut", "hospital", "site")
"""What the name of a column that holds the hospital may contain."""


@dataclass(frozen=True)
class Of:
    """Every patient's samples, best first."""

    samples: Mapping[str, Sequence[str]]  # case_id ->

    def take(self, there: Collection[str]) -> dict[str, str]:
        """case_id -> the best sample of those that are there; patients without one are left out."""
        known = frozenset(there)
        return {
            case: next(name for name in names if name in known)
            for case, names in self.samples.items()
            if known & set(names)
        }


def import_cbioportal(
    study: Path,
    out: Path,
    *,
    expression: Path | None = None,
    genes: Collection[str] | None = None,
    aux_genes: Collection[str] | None = None,
) -> list[str]:
    """Write the cohort folder `out`; a sentence about every table.

    Parameters
    ----------
    study, out
        The study folder, and a new folder.
    expression
        The table of expression; None = the first of data_mrna_seq_*.txt by PREFERRED.
    genes
        Genes of the expression table; None = all.
    aux_genes
        Genes of mutations and copy number; None = those mutated in SHARE of the patients, and the packaged panel.

    Raises
    ------
    BadInput
        `out` is a cohort already.
    CohortError
        The folder is no study of cBioPortal, or a table is malformed.
    """
    if (out / "clinical.tsv").exists():
        raise BadInput(f"--out: expected a new folder, got the cohort {out}; name another")
    sheet = find_file(study, SAMPLES)
    if sheet is None:
        raise CohortError(
            f"{study}: expected a study folder of cBioPortal with {SAMPLES}, got no such file; "
            "unpack the study's archive and name the folder in it"
        )
    samples = read_commented(sheet)
    require_columns(sheet, samples, ["PATIENT_ID", "SAMPLE_ID"])
    patients = read_commented(study / PATIENTS) if (study / PATIENTS).is_file() else None
    of = _samples_of(sheet, samples)
    clinical = clinical_columns(patients, samples, {case: names[0] for case, names in of.samples.items()})
    # every table is read before the first is written
    tables = [
        (_expression(study, expression, of, genes), "expression.tsv.gz"),
        (_mutations(study, of, aux_genes), "mutations.tsv"),
        (_copy_number(study, of, aux_genes), "copy_number.tsv"),
    ]
    out.mkdir(parents=True, exist_ok=True)
    notes = [f"clinical.tsv: {len(clinical)} patients, {len(clinical.columns) - 1} columns", *_split_note(clinical)]
    for (table, note), name in tables:
        notes.append(f"{name}: {note}")
        if table is not None:
            (write_expression if name.startswith("expression") else write_patients_by_genes)(out / name, table)
    write_rows(out / "clinical.tsv", clinical)  # last: with it the folder is a cohort
    return notes


def _samples_of(path: Path, sheet: pd.DataFrame) -> Of:
    """Samples by patient and rule: by TCGA barcodes, else by the column SAMPLE_TYPE, else by name."""
    repeats = sheet.index[sheet["SAMPLE_ID"].duplicated()]
    refuse(path, [f"line {line}: expected every SAMPLE_ID once, got one again; remove one" for line in repeats])
    pairs = list(zip(sheet["PATIENT_ID"], sheet["SAMPLE_ID"], strict=True))
    if all(is_tcga(sample) for _, sample in pairs):
        found = assign([sample for _, sample in pairs], {case for case, _ in pairs})
    else:
        types = sheet["SAMPLE_TYPE"] if "SAMPLE_TYPE" in sheet.columns else [""] * len(sheet)
        kinds = [kind_of_words(word) if word else Kind.PRIMARY for word in types]
        found = Samples.of(Sample(kind, name, case) for (case, name), kind in zip(pairs, kinds, strict=True))
    if not found.tumour:
        raise CohortError(f"{path}: expected tumour samples of the patients in PATIENT_ID, got none; check SAMPLE_ID")
    return Of({case: [sample.name for sample in group] for case, group in found.tumour.items()})


def _expression(
    study: Path, chosen: Path | None, of: Of, genes: Collection[str] | None
) -> tuple[pd.DataFrame | None, str]:
    path = chosen or _expression_file(study)
    if path is None:
        return None, "no data_mrna_seq_*.txt in the study"
    table = _matrix(path)
    taken = of.take(table.columns)
    if not taken:
        raise CohortError(f"{path}: expected columns of the study's samples, got none; check {SAMPLES}")
    kept = table[[name != "" and (genes is None or name in genes) for name in table.index]]
    part = kept[list(taken.values())].set_axis(list(taken), axis="columns")
    merged = part if part.index.is_unique else part.groupby(level=0).mean()
    if merged.empty:
        raise CohortError(f"{path}: expected genes of --genes, got none of {len(genes or ())}; name another GMT file")
    return merged, f"{len(merged)} genes of {len(taken)} patients, from {path.name}"


def _expression_file(study: Path) -> Path | None:
    """The first table of RNA sequencing that holds no z-scores, by PREFERRED, then by name."""
    found = [p for p in sorted(study.glob("data_mrna_seq_*.txt")) if "zscore" not in p.name.lower().replace("-", "")]
    rank = {p: next((i for i, word in enumerate(PREFERRED) if word in p.name.lower()), len(PREFERRED)) for p in found}
    return min(found, key=lambda path: (rank[path], path.name), default=None)


def _mutations(study: Path, of: Of, genes: Collection[str] | None) -> tuple[pd.DataFrame | None, str]:
    path = find_file(study, *MUTATIONS)
    if path is None:
        return None, f"no {MUTATIONS[0]} in the study"
    maf = read_maf(path)
    listed = _sequenced(study)
    taken = of.take(maf.samples | (listed or frozenset()))
    altered = altered_by_sample(maf)
    table = altered_table({case: altered.get(sample, Altered()) for case, sample in sorted(taken.items())}, genes)
    unlisted = (
        "" if listed else "; without case_lists/cases_sequenced.txt only patients with a variant count as sequenced"
    )
    rule = f" mutated in {SHARE:.0%} of them or more" if genes is None else ""
    return table, f"{len(table)} patients, {len(table.columns)} genes{rule}{unlisted}"


def _sequenced(study: Path) -> frozenset[str] | None:
    """The samples that case_lists/cases_sequenced.txt lists; None without the file."""
    path = find_file(study / "case_lists", "cases_sequenced.txt")
    if path is None:
        return None
    fields = dict(line.split(":", 1) for line in read_text(path).split("\n") if ":" in line)
    return frozenset(fields.get("case_list_ids", "").split())


def _copy_number(study: Path, of: Of, genes: Collection[str] | None) -> tuple[pd.DataFrame | None, str]:
    path = find_file(study, *CNA)
    if path is None:
        return None, f"no {CNA[0]} in the study"
    table = _matrix(path)
    wanted = frozenset(vocabulary(packaged_panel()) if genes is None else genes)
    kept = table[[name in wanted for name in table.index]]
    kept = kept[~kept.index.duplicated()]
    values = kept.to_numpy()
    if ((values < -2) | (values > 2)).any():
        raise CohortError(
            f"{path}: expected discrete copy number from -2 to 2, got other values; use {CNA[0]} of GISTIC"
        )
    taken = of.take(table.columns)
    found = kept[list(taken.values())].set_axis(list(taken), axis="columns").T
    rule = " of the packaged panel" if genes is None else ""
    return found, f"{len(found)} patients, {len(found.columns)} genes{rule}"


def _matrix(path: Path) -> pd.DataFrame:
    """(genes, samples), named by symbol."""
    if not path.is_file():
        raise CohortError(f"{path}: expected a table of genes by samples, got no such file; check the path")
    table = read_matrix(path, words=WORDS)
    fault = f"line 1: expected {GENE!r} first, got {table.index.name!r}; use a table that names genes by symbol"
    refuse(path, [] if table.index.name == GENE else [fault])
    return table


def _split_note(clinical: pd.DataFrame) -> list[str]:
    """How the hospitals can be told apart, where no barcode says it."""
    if all(map(is_tcga, clinical["case_id"])):
        return []
    names = [name for name in clinical.columns if any(place in name for place in PLACES)]
    like = f" ({', '.join(names)} may be one)" if names else ", which no column seems to be; add one"
    return [f"The case ids are no TCGA barcodes: run with --split column:NAME, the column of the hospital{like}."]
