"""Six glioma patients of four hospitals at a stand-in for the GDC, with real files of every kind."""

import gzip
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simulations.synthetic.aperio import write_aperio
from simulations.tcga.gdc import Gdc, Patience
from tests.gdc_server import FakeGdc, serving

GENES = (  # Ensembl id, symbol, kind, chromosome
    ("ENSG00000000001.1", "EGFR", "protein_coding", "chr7"),
    ("ENSG00000000002.1", "TP53", "protein_coding", "chr17"),
    ("ENSG00000000003.1", "ATRX", "protein_coding", "chrX"),
    ("ENSG00000000004.1", "IDH1", "protein_coding", "chr2"),
    ("ENSG00000000005.1", "TWICE", "protein_coding", "chr1"),
    ("ENSG00000000006.1", "TWICE", "protein_coding", "chr1"),
    ("ENSG00000000007.1", "XIST", "lncRNA", "chrX"),
    ("ENSG00000000008.1_PAR_Y", "EGFR", "protein_coding", "chrY"),
)
MAF = "Hugo_Symbol\tChromosome\tVariant_Classification\tTumor_Sample_Barcode"
CASES = ("TCGA-02-0001", "TCGA-06-0002", "TCGA-06-0003", "TCGA-DU-0004", "TCGA-HT-0005", "TCGA-ZZ-0006")


def star_text(values: Mapping[str, float]) -> str:
    """STAR counts of GENES; TPM from symbol -> value, 1 for the first row TWICE and 3 for the second."""
    tpm = [values.get(symbol, 1.0) for _, symbol, _, _ in GENES]
    tpm[5] = 3.0
    rows = [f"{i}\t{s}\t{kind}\t10\t5\t5\t{v}\t0.5\t0.5" for (i, s, kind, _), v in zip(GENES, tpm, strict=True)]
    head = "gene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\ttpm_unstranded\tfpkm_unstranded"
    summary = [f"N_{name}\t\t\t9\t9\t9\t\t\t" for name in ("unmapped", "multimapping", "noFeature", "ambiguous")]
    return "\n".join(["# gene-model: GENCODE v36", f"{head}\tfpkm_uq_unstranded", *summary, *rows]) + "\n"


def maf_bytes(*variants: tuple[str, str, str]) -> bytes:
    """A gzipped MAF of (gene, class, barcode)."""
    rows = [f"{gene}\tchr1\t{class_}\t{barcode}" for gene, class_, barcode in variants]
    return gzip.compress("\n".join(["#version gdc-1.0.0", MAF, *rows, ""]).encode(), mtime=0)


def copies_text(copies: Mapping[str, str]) -> str:
    """Gene-level copy number of GENES; two copies where `copies` says nothing."""
    head = "gene_id\tgene_name\tchromosome\tstart\tend\tcopy_number\tmin_copy_number\tmax_copy_number"
    rows = [f"{i}\t{s}\t{c}\t1\t9\t{copies.get(s, '2')}\t2\t2" for i, s, _, c in GENES]
    return "\n".join([head, *rows]) + "\n"


def case_record(case: str, project: str, **parts: Any) -> dict[str, Any]:
    """A patient as the endpoint `cases` has it."""
    return {
        "submitter_id": case,
        "case_id": f"uuid-{case}",
        "primary_site": "Brain",
        "disease_type": "Gliomas",
        "project": {"project_id": project},
        "demographic": {"gender": "female", "vital_status": "Alive", "days_to_death": None},
        "diagnoses": [{"submitter_id": "d1", "age_at_diagnosis": 14610, "days_to_last_follow_up": 304.375}],
        "follow_ups": [],
        **parts,
    }


def file_fields(case: str, project: str, *barcodes: str, **fields: Any) -> dict[str, Any]:
    """What the endpoint `files` says of a file of one patient."""
    samples = [{"submitter_id": barcode[:16], "sample_type": "not used"} for barcode in barcodes]
    return {
        "cases": [{"submitter_id": case, "project": {"project_id": project}, "samples": samples}],
        "associated_entities": [{"entity_submitter_id": barcode, "entity_type": "aliquot"} for barcode in barcodes],
        **fields,
    }


def project_of(case: str) -> str:
    return "TCGA-GBM" if case[5] == "0" else "TCGA-LGG"


@pytest.fixture(scope="session")
def slide_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("slide") / "slide.svs"
    pixels = np.random.default_rng(0).integers(90, 250, (300, 400, 3)).astype(np.uint8)
    write_aperio(path, pixels, mpp=0.5, power=20, jpeg_quality=80)
    return path.read_bytes()


@pytest.fixture
def gdc(slide_bytes: bytes) -> Iterator[FakeGdc]:
    """The server, filled and running."""
    server = FakeGdc()
    server.cases = [case_record(case, project_of(case)) for case in CASES]
    dead = {"sex_at_birth": "male", "gender": "female", "vital_status": "Dead", "days_to_death": 608.75}
    server.cases[1] |= {
        "demographic": dead,
        "diagnoses": [
            {"submitter_id": "a", "age_at_diagnosis": 99999, "diagnosis_is_primary_disease": "false"},
            {
                "submitter_id": "b",
                "age_at_diagnosis": 21915,
                "diagnosis_is_primary_disease": "true",
                "tumor_grade": "G4",
            },
        ],
    }
    server.cases[3] |= {
        "diagnoses": [
            {"submitter_id": "d", "age_at_diagnosis": None, "who_cns_grade": "Grade II", "tumor_grade": "GX"}
        ],
        "follow_ups": [{"days_to_follow_up": -5}, {"days_to_follow_up": 730.5}, {"days_to_follow_up": 100}],
    }
    for number, case in enumerate(CASES[:5]):
        fields = file_fields(case, project_of(case), f"{case}-01A-11R-1850-01")
        fields |= {"data_type": "Gene Expression Quantification", "analysis": {"workflow_type": "STAR - Counts"}}
        star = star_text({"EGFR": 10.0 * (number + 1)})
        server.add_file(f"e{number}", f"{number}.rna_seq.augmented_star_gene_counts.tsv", star.encode(), **fields)
    for number, case in enumerate(CASES[:4]):
        tumour, normal = f"{case}-01A-11D-1490-08", f"{case}-10A-01D-1490-08"
        fields = file_fields(
            case, project_of(case), normal, tumour, data_type="Masked Somatic Mutation", data_format="MAF"
        )
        variants = [("TP53", "Missense_Mutation", tumour)] * (number != 2) + [("IDH1", "Silent", tumour)] * (
            number == 1
        )
        server.add_file(f"m{number}", f"{number}.wxs.aliquot_ensemble_masked.maf.gz", maf_bytes(*variants), **fields)
    for number, case in enumerate(CASES[:3]):
        tumour, normal = f"{case}-01A-01D-0182-01", f"{case}-10A-01D-0182-01"
        fields = file_fields(case, project_of(case), tumour, normal, data_type="Gene Level Copy Number")
        for workflow, copies in (("ASCAT2", "4"), ("ASCAT3", ("7", "1", "")[number])):
            server.add_file(
                f"c{number}-{workflow}",
                f"{number}.{workflow.lower()}.gene_level_copy_number.v36.tsv",
                copies_text({"EGFR": copies, "ATRX": "0"}).encode(),
                **fields,
                analysis={"workflow_type": workflow},
            )
    for case in ("TCGA-06-0002", "TCGA-06-0003", "TCGA-HT-0005"):
        for slide in ("DX1", "DX2"):
            name = f"{case}-01Z-00-{slide}"
            fields = file_fields(case, project_of(case), name, data_type="Slide Image", data_format="SVS")
            fields |= {"experimental_strategy": "Diagnostic Slide"}
            server.add_file(f"s-{case[8:]}-{slide}", f"{name}.8A3F1C2D.svs", slide_bytes, **fields)
    with serving(server):
        yield server


@pytest.fixture
def connect(gdc: FakeGdc) -> Iterator[Callable[..., Gdc]]:
    """Connections to the server that lose no time by waiting."""
    opened: list[Gdc] = []

    def make(**patience: Any) -> Gdc:
        opened.append(Gdc(gdc.url, Patience(**{"tries": 3, "pause": 0.01, **patience})))
        return opened[-1]

    yield make
    for connection in opened:
        connection.__exit__()


@pytest.fixture
def labels(tmp_path: Path) -> Callable[..., Path]:
    """Write a table of labels, comma-separated."""

    def write(*rows: str, name: str = "labels.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        return path

    return write
