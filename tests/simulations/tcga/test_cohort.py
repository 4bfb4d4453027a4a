"""A cohort folder from the GDC, from the first question to the tables that a run reads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from shared.cohort.tables import read_clinical, read_expression, read_patients_by_genes, read_slides
from shared.errors import BadInput, CohortError, WorkFailed
from simulations.hospitals import split_cohort
from simulations.tcga.cohort import Options, carry_out, make_plan
from simulations.tcga.gdc import Gdc
from tests.gdc_server import FakeGdc

Connect = Callable[..., Gdc]
BOTH = ("TCGA-GBM", "TCGA-LGG")


def fetch(connection: Gdc, out: Path, projects: tuple[str, ...] = BOTH, **options: Any) -> list[str]:
    """Plan and carry out; the sentences said on the way."""
    lines: list[str] = []
    plan = make_plan(connection, Options(projects, out, **options))
    carry_out(connection, plan, lambda what, done, total: None, lines.append)
    return [*plan.lines(), *plan.notes, *lines]


def test_clinical_has_years_months_and_hospitals(gdc: FakeGdc, connect: Connect, tmp_path: Path) -> None:
    fetch(connect(), tmp_path / "out")
    table = read_clinical(tmp_path / "out").set_index("case_id")
    assert len(table) == 6
    assert table.loc["TCGA-02-0001", ["age_at_diagnosis", "sex", "os_months", "os_event"]].tolist() == [
        "40", "female", "10", "0",
    ]  # fmt: skip
    died = table.loc["TCGA-06-0002"]  # the primary diagnosis counts, not the first; sex at birth before gender
    assert died[["age_at_diagnosis", "sex", "os_months", "os_event", "grade"]].tolist() == [
        "60",
        "male",
        "20",
        "1",
        "G4",
    ]
    assert died[["project", "tissue_source_site", "hospital"]].tolist() == ["TCGA-GBM", "06", "Henry Ford Hospital"]
    followed = table.loc["TCGA-DU-0004"]  # the latest of the follow-ups
    assert followed[["age_at_diagnosis", "os_months", "grade"]].tolist() == ["", "24", "G2"]
    assert table.loc["TCGA-ZZ-0006", "hospital"] == "ZZ"
    assert "stage" not in table.columns  # nobody has one


def test_tables_hold_one_tumour_a_patient(gdc: FakeGdc, connect: Connect, tmp_path: Path) -> None:
    said = fetch(connect(), tmp_path / "out")
    expression = read_expression(tmp_path / "out")
    assert expression is not None
    assert list(expression.index) == ["ATRX", "EGFR", "IDH1", "TP53", "TWICE"]  # protein-coding, without PAR_Y
    assert expression.loc["EGFR"].tolist() == [10, 20, 30, 40, 50]
    assert expression.loc["TWICE", "TCGA-02-0001"] == 2  # the mean of 1 and 3
    mutations = read_patients_by_genes(tmp_path / "out", "mutations")
    assert mutations is not None
    assert mutations["TP53"].tolist() == [1, 1, 0, 1]  # the third was sequenced and has no variant
    assert list(mutations.columns) == ["TP53"]  # IDH1 is only silent
    copies = read_patients_by_genes(tmp_path / "out", "copy_number")
    assert copies is not None
    assert copies["EGFR"].tolist()[:2] == [2, -1]  # ASCAT3 before ASCAT2
    assert pd.isna(copies["EGFR"].tolist()[2])
    assert "ATRX" not in copies.columns  # on X, two copies are not everybody's normal
    assert any("expression.tsv.gz: 5 protein-coding genes of 5 patients, TPM" in line for line in said)
    assert "Site codes that the packaged table does not have stay codes: ZZ (1 patients)." in said
    assert any("06 and DU: Henry Ford Hospital" in line for line in said)
    manifest = (tmp_path / "out" / "gdc" / "manifest.txt").read_text().splitlines()
    assert manifest[0] == "id\tfilename\tmd5\tsize\tstate"
    assert len(manifest) == 1 + 5 + 4 + 3


def test_a_primary_tumour_goes_before_a_recurrence_and_normal_tissue_never_counts(
    gdc: FakeGdc, connect: Connect, tmp_path: Path
) -> None:
    for file in gdc.files:
        if file["file_id"] == "e0":
            file["associated_entities"][0]["entity_submitter_id"] = "TCGA-02-0001-02A-11R-1850-01"
    copied = {**next(f for f in gdc.files if f["file_id"] == "e1")}
    kept = {key: copied[key] for key in ("data_type", "analysis")}
    for file_id, case, sample in (("e8", "TCGA-02-0001", "01B"), ("e9", "TCGA-ZZ-0006", "11A")):
        barcode = f"{case}-{sample}-11R-1850-01"
        gdc.add_file(
            file_id,
            f"{file_id}.rna_seq.augmented_star_gene_counts.tsv",
            gdc.content["e4"],
            cases=[{"submitter_id": case, "project": {"project_id": "TCGA-GBM"}, "samples": []}],
            associated_entities=[{"entity_submitter_id": barcode}],
            **kept,
        )
    said = fetch(connect(), tmp_path / "out")
    expression = read_expression(tmp_path / "out")
    assert expression is not None
    assert expression.loc["EGFR", "TCGA-02-0001"] == 50
    assert "TCGA-ZZ-0006" not in expression.columns
    assert "expression: 1 further tumour samples are not taken." in said
    assert gdc.asked("e0") == gdc.asked("e9") == []


def test_slides_are_spread_over_hospitals_and_open(gdc: FakeGdc, connect: Connect, tmp_path: Path) -> None:
    from openslide import OpenSlide

    fetch(connect(), tmp_path / "two", slides=2)
    slides = read_slides(tmp_path / "two")
    assert slides is not None
    assert slides["case_id"].tolist() == ["TCGA-06-0002", "TCGA-HT-0005"]  # one a hospital, DX1 first
    assert slides["slide_id"][0] == "TCGA-06-0002-01Z-00-DX1.8A3F1C2D"
    assert OpenSlide(slides["path"][0]).properties["openslide.mpp-x"] == "0.5"
    fetch(connect(), tmp_path / "all", slides="diagnostic")
    every = read_slides(tmp_path / "all")
    assert every is not None
    assert len(every) == 6
    assert not (tmp_path / "all" / "slides").joinpath("x.part").exists()


def test_the_folder_splits_into_hospitals(gdc: FakeGdc, connect: Connect, tmp_path: Path) -> None:
    fetch(connect(), tmp_path / "out", slides=1)
    hospitals = split_cohort(tmp_path / "out", "tss", tmp_path / "cache")
    assert [hospital.id for hospital in hospitals] == ["02", "06", "DU", "HT", "ZZ"]
    assert 'scale = "tpm"' in hospitals[1].site_file.read_text()


def test_a_second_run_fetches_nothing_and_a_lost_file_alone_is_fetched_again(
    gdc: FakeGdc, connect: Connect, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    fetch(connect(), out)
    before = (out / "expression.tsv.gz").stat().st_mtime_ns
    gdc.requests.clear()
    said = fetch(connect(), out)
    assert {what for what, _ in gdc.requests} == {"cases", "files", "manifest"}
    assert any(line.startswith("expression ") and line.endswith("0 B to fetch") for line in said)
    assert (out / "expression.tsv.gz").stat().st_mtime_ns == before
    (out / "gdc" / "expression" / "e3.tsv").write_bytes(b"damaged")
    fetch(connect(), out)
    assert gdc.asked("e3") == [""]
    assert gdc.asked("e2") == []


def test_genes_of_a_gmt_file(gdc: FakeGdc, connect: Connect, tmp_path: Path) -> None:
    gmt, other = tmp_path / "a.gmt", tmp_path / "b.gmt"
    gmt.write_text("group\tnote\tXIST\tTP53\tABSENT\n")
    other.write_text("group\tnote\tIDH1\tTP53\n")
    fetch(connect(), tmp_path / "out", genes=gmt, aux_genes=other)
    expression = read_expression(tmp_path / "out")
    mutations = read_patients_by_genes(tmp_path / "out", "mutations")
    copies = read_patients_by_genes(tmp_path / "out", "copy_number")
    assert expression is not None
    assert mutations is not None
    assert copies is not None
    assert list(expression.index) == ["TP53", "XIST"]
    assert mutations["IDH1"].tolist() == [0, 0, 0, 0]
    assert list(copies.columns) == ["IDH1", "TP53"]
    nothing = tmp_path / "c.gmt"
    nothing.write_text("group\tnote\tABSENT\n")
    with pytest.raises(CohortError, match="expected genes that the STAR counts have, got none of 1; name a GMT file"):
        fetch(connect(), tmp_path / "none", genes=nothing)


def test_labels_are_not_lost_by_a_second_run(
    gdc: FakeGdc, connect: Connect, labels: Callable[..., Path], tmp_path: Path
) -> None:
    path = labels("case_id,idh", "TCGA-02-0001,IDHwt")
    fetch(connect(), tmp_path / "out", labels=str(path))
    with pytest.raises(BadInput, match="--labels: expected the table with idh, which clinical.tsv of .* has, got none"):
        fetch(connect(), tmp_path / "out", slides=1)
    fetch(connect(), tmp_path / "out", slides=1, labels=str(path))
    assert read_clinical(tmp_path / "out")["idh"].tolist() == ["IDHwt", "", "", "", "", ""]


def test_pages_are_read_to_the_end(gdc: FakeGdc, connect: Connect, tmp_path: Path) -> None:
    gdc.largest_page = 2
    fetch(connect(), tmp_path / "out")
    assert len(read_clinical(tmp_path / "out")) == 6
    assert len(gdc.asked("cases")) == 3


@pytest.mark.parametrize(
    ("projects", "message"),
    [
        (("TCGA-GMB",), "expected projects of TCGA, got 'TCGA-GMB'; write TCGA-GBM"),
        (("tcga-lgg",), "got 'tcga-lgg'; write TCGA-LGG"),
        (("CPTAC-3",), "expected projects of TCGA, since other programmes have no hospital codes, got 'CPTAC-3'"),
        ((), "expected at least one --project"),
    ],
)
def test_other_projects_are_refused(projects: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        Options(projects, tmp_path)


def test_a_project_without_patients_is_named(connect: Connect, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected patients at http.*, got none of TCGA-BRCA; check --server"):
        fetch(connect(), tmp_path / "out", projects=("TCGA-GBM", "TCGA-BRCA"))


def test_two_cohorts_are_never_mixed_in_a_folder(gdc: FakeGdc, connect: Connect, tmp_path: Path) -> None:
    fetch(connect(), tmp_path / "out", projects=("TCGA-GBM",))
    assert len(read_clinical(tmp_path / "out")) == 3
    with pytest.raises(BadInput, match=r"was begun with \(TCGA-GBM\), got TCGA-LGG; name another folder"):
        Options(("TCGA-LGG",), tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "clinical.tsv").write_text("case_id\nA\n")
    with pytest.raises(BadInput, match="got another cohort in .*mine; name another"):
        Options(("TCGA-LGG",), tmp_path / "mine")


def test_an_interrupted_fetch_goes_on(gdc: FakeGdc, connect: Connect, tmp_path: Path) -> None:
    gdc.faults["e2"] = ["cut", "500", "500", "500", "500"]
    with pytest.raises(WorkFailed, match=r"file e2 of the GDC: expected its bytes, got status 500 3 times; finished"):
        fetch(connect(), tmp_path / "out")
    part = tmp_path / "out" / "gdc" / "expression" / "e2.tsv.part"
    assert part.stat().st_size == len(gdc.content["e2"]) // 2
    assert not (tmp_path / "out" / "expression.tsv.gz").exists()
    gdc.faults.clear()
    gdc.requests.clear()
    fetch(connect(), tmp_path / "out")
    assert gdc.asked("e2") == [f"bytes={len(gdc.content['e2']) // 2}-"]
    assert gdc.asked("e1") == []
    assert read_expression(tmp_path / "out") is not None
