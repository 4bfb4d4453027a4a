import errno
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cohort.tables import (
    aux_columns,
    read_blood,
    read_clinical,
    read_exclusions,
    read_expression,
    read_patients_by_genes,
    read_slides,
)
from shared.errors import CohortError

TCGA = Path("../shared/data/tcga_gbmlgg")


def test_clinical_is_sorted_and_all_strings(tmp_path):
    (tmp_path / "clinical.tsv").write_text("case_id\tsite\tage\nb\t06\t51.0\na\t002\t\n")
    table = read_clinical(tmp_path)
    assert table.to_dict("list") == {"case_id": ["a", "b"], "site": ["002", "06"], "age": ["", "51.0"]}


def test_clinical_must_be_there(tmp_path):
    with pytest.raises(
        CohortError, match=r"expected clinical\.tsv with a column case_id .* got no such file; write it"
    ):
        read_clinical(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patient\na\n", "line 1: expected a column 'case_id', got none; add it"),
        ("case_id\tx\n", "expected at least one patient, got none"),
        ("case_id\tx\na\t1\n\t2\n", "line 3: expected a case_id of letters, .* got nothing"),
        ("case_id\tx\na b\t1\n", "line 2: expected a case_id of letters, .* got other characters"),
        ("case_id\tx\na\t1\nb\t1\na\t2\n", r"line 4: expected every case_id once, got again \(first: line 2\)"),
        ("case_id\tkey\na\t1\n", "expected no column 'key', which mmfed writes itself"),
        ("case_id\tabsent_blood\na\t1\n", "expected no column 'absent_blood'"),
    ],
)
def test_clinical_refuses(tmp_path, text, message):
    (tmp_path / "clinical.tsv").write_text(text)
    with pytest.raises(CohortError, match=message):
        read_clinical(tmp_path)


def test_all_faults_come_at_once_and_name_no_patient(tmp_path):
    (tmp_path / "clinical.tsv").write_text("case_id\tx\nSECRET-1\t1\nSECRET-1\t1\nSECRET 2\t1\n")
    with pytest.raises(CohortError, match="2 faults") as caught:
        read_clinical(tmp_path)
    assert "SECRET" not in str(caught.value)


@given(
    st.text(min_size=1, max_size=8).filter(lambda text: text.strip() == text and text.isprintable() and '"' not in text)
)
def test_a_case_id_is_either_kept_or_refused(tmp_path_factory, case_id):
    folder = tmp_path_factory.mktemp("c")
    (folder / "clinical.tsv").write_text(f"case_id\tx\n{case_id}\t1\n", encoding="utf-8")
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    if set(case_id) <= allowed and case_id not in ("NA", "nan", "NaN", "null", "--"):
        assert read_clinical(folder)["case_id"].tolist() == [case_id]
    else:
        with pytest.raises(CohortError, match="expected a case_id"):
            read_clinical(folder)


def test_expression_refuses_duplicated_genes_by_name(tmp_path):
    assert read_expression(tmp_path) is None
    (tmp_path / "expression.tsv").write_text("gene_symbol\ta\nTP53\t1\nEGFR\t2\nTP53\t3\n")
    with pytest.raises(
        CohortError, match=r"line 4: expected every gene once, got 'TP53' again \(first: line 2\); remove"
    ):
        read_expression(tmp_path)


def test_expression_refuses_a_duplicated_patient_without_naming_it(tmp_path):
    (tmp_path / "expression.tsv").write_text("gene_symbol\tSECRET\tSECRET\nTP53\t1\t2\n")
    with pytest.raises(CohortError, match="line 1, column 3: expected distinct names") as caught:
        read_expression(tmp_path)
    assert "SECRET" not in str(caught.value)


def test_aux_columns_keep_the_order_of_the_files(tmp_path):
    (tmp_path / "mutations.tsv").write_text("case_id\tTP53\tIDH1\na\t1\t0\n")
    (tmp_path / "copy_number.tsv").write_text("case_id\tEGFR\na\t-2\n")
    assert aux_columns(tmp_path, ("mutations", "copy_number")) == (
        "mutations:TP53",
        "mutations:IDH1",
        "copy_number:EGFR",
    )
    assert aux_columns(tmp_path, ("copy_number",)) == ("copy_number:EGFR",)
    assert aux_columns(tmp_path / "nothing", ("mutations",)) == ()


def test_mutations_refuse_a_repeated_patient(tmp_path):
    (tmp_path / "mutations.tsv").write_text("case_id\tTP53\na\t1\na\t0\n")
    with pytest.raises(CohortError, match="line 3: expected every case_id once"):
        read_patients_by_genes(tmp_path, "mutations")


def test_blood_gets_an_empty_collected_column(tmp_path):
    assert read_blood(tmp_path) is None
    (tmp_path / "blood.csv").write_text("case_id,analyte,value,unit,ref_low,ref_high\n06,ALP,70,U/L,40,120\n")
    sheet = read_blood(tmp_path)
    assert list(sheet.columns) == ["case_id", "analyte", "value", "unit", "ref_low", "ref_high", "collected"]
    assert list(sheet.loc[2]) == ["06", "ALP", "70", "U/L", "40", "120", ""]
    (tmp_path / "blood.csv").write_text("case_id,analyte,value,unit\na,ALP,70,U/L\n")
    assert list(read_blood(tmp_path).loc[2]) == ["a", "ALP", "70", "U/L", "", "", ""]
    (tmp_path / "blood.csv").write_text("case_id,analyte,value,ref_low\na,ALP,70,40\n")
    with pytest.raises(CohortError, match="expected a column 'unit', got none"):
        read_blood(tmp_path)


def test_slides_are_found_with_and_without_suffix(tmp_path):
    assert read_slides(tmp_path) is None
    (tmp_path / "slides").mkdir()
    for name in ("s1.svs", "s2.tiff", "s2.svs"):
        (tmp_path / "slides" / name).touch()
    (tmp_path / "slides.tsv").write_text("case_id\tslide_id\nb\ts2.tiff\na\ts3\na\ts1\n")
    table = read_slides(tmp_path)
    assert table["case_id"].tolist() == ["a", "a", "b"]
    assert table["slide_id"].tolist() == ["s1", "s3", "s2"]
    assert table["path"].tolist() == [tmp_path / "slides/s1.svs", None, tmp_path / "slides/s2.tiff"]


@pytest.mark.parametrize(
    ("slide_id", "message"),
    [("../s1", "line 2: expected a slide_id of letters"), ("s1.svs", r"line 3: expected every slide_id once")],
)
def test_slides_refuse(tmp_path, slide_id, message):
    (tmp_path / "slides.tsv").write_text(f"case_id\tslide_id\na\t{slide_id}\nb\ts1\n")
    with pytest.raises(CohortError, match=message):
        read_slides(tmp_path)


def test_exclusions(tmp_path):
    assert read_exclusions(tmp_path) == frozenset()
    (tmp_path / "exclude.csv").write_text("case_id,date,reason\n06,2025-01-01,withdrew\n")
    assert read_exclusions(tmp_path) == {"06"}


@pytest.mark.skipif(not TCGA.is_dir(), reason="the shared test data is not there")
def test_tcga_tables_are_read_whole_and_fast():
    start = time.perf_counter()
    table = read_expression(TCGA)
    assert time.perf_counter() - start < 5  # .4 s on a quiet core
    assert table.shape == (1544, 569)
    assert np.isfinite(table.to_numpy()).all()
    clinical = read_clinical(TCGA)
    assert len(clinical) == 569
    assert (clinical["grade"] == "").sum() == 55
    assert len(aux_columns(TCGA, ("mutations", "copy_number"))) == 16 + 30
    assert read_slides(TCGA)["path"].isna().sum() == 1011


def slides_table(folder, text, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    (folder / "slides.tsv").write_text(text)
    return read_slides(folder)


def test_slides_may_state_their_resolution(tmp_path):
    table = slides_table(tmp_path, "case_id\tslide_id\tmpp\na\ts1\t0.2527\na\ts2\t\na\ts3\t-1\na\ts4\tNA\n")
    # a resolution that cannot be is that slide's own fault, and left to whoever opens it
    np.testing.assert_array_equal(table["mpp"], [0.2527, np.nan, -1, np.nan])
    assert slides_table(tmp_path, "case_id\tslide_id\na\ts1\n")["mpp"].isna().all()


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("0,25", "line 3: expected an mpp such as 0.25 .um per pixel., got '0,25'; write a decimal point"),
        ("40x", "line 3: expected an mpp such as 0.25 .um per pixel., got '40x'; correct it, or leave the cell empty"),
        ("inf", "line 3: expected an mpp such as 0.25"),
    ],
)
def test_a_resolution_that_is_no_number_is_that_slides_fault(tmp_path, cell, message):
    table = slides_table(tmp_path, f"case_id\tslide_id\tmpp\na\ts1\t0.5\na\ts2\t{cell}\n")
    assert table["fault"][0] == ""
    assert re.search(message, table["fault"][1])
    np.testing.assert_array_equal(table["mpp"], [0.5, np.nan])


def test_dicom_slides_are_files_or_folders(tmp_path):
    files = ("slides/s1.dcm", "slides/s2/b.dcm", "slides/s2/a.dcm", "slides/s3/Data0.dat", "slides/s4/a.dcm")
    rows = "".join(f"p\t{slide}\n" for slide in ("s1.dcm", "s2", "s3", "s4"))
    table = slides_table(tmp_path, f"case_id\tslide_id\n{rows}", *files, "slides/s4.svs")
    assert table["slide_id"].tolist() == ["s1", "s2", "s3", "s4"]
    expected = ["slides/s1.dcm", "slides/s2/a.dcm", None, "slides/s4.svs"]
    assert table["path"].tolist() == [name and tmp_path / name for name in expected]


def test_features_made_elsewhere_are_found(tmp_path):
    table = slides_table(tmp_path, "case_id\tslide_id\na\ts1.svs\na\ts2\n", "features/slides/s1.h5")
    assert table["features"].tolist() == [tmp_path / "features/slides/s1.h5", None]
    assert table["path"].tolist() == [None, None]


def test_capitals_of_a_suffix_do_not_count(tmp_path):
    files = (
        "slides/s1.SVS",
        "slides/s2.Svs",
        "slides/s3.svs",
        "slides/s3.SVS",
        "slides/s4.SVS",
        "features/slides/s1.H5",
    )
    rows = "".join(f"p\t{slide}\n" for slide in ("s1", "s2.svs", "s3", "S4"))
    table = slides_table(tmp_path, f"case_id\tslide_id\n{rows}", *files).set_index("slide_id")
    found = {slide: path and path.name for slide, path in table["path"].items()}
    assert found == {"s1": "s1.SVS", "s2": "s2.Svs", "s3": "s3.svs", "S4": None}
    assert table["features"]["s1"] == tmp_path / "features/slides/s1.H5"


def test_links_to_nothing_and_pipes_are_no_slides(tmp_path):
    (tmp_path / "slides/d5").mkdir(parents=True)
    for name in ("s1.svs", "s2", "d5/a.dcm"):
        (tmp_path / "slides" / name).symlink_to(tmp_path / "nowhere")
    (tmp_path / "slides/s3").symlink_to("s3")  # a ring
    os.mkfifo(tmp_path / "slides/s4")
    rows = "".join(f"p\t{slide}\n" for slide in ("s1", "s2", "s3", "s4", "d5"))
    assert slides_table(tmp_path, f"case_id\tslide_id\n{rows}")["path"].tolist() == [None] * 5


def test_a_series_that_cannot_be_read_costs_its_slide_alone(tmp_path, monkeypatch):
    listing = Path.iterdir

    def refuse(folder):
        if folder.name == "s1":
            raise PermissionError(errno.EACCES, "Permission denied")
        return listing(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    table = slides_table(tmp_path, "case_id\tslide_id\np\ts1\np\ts2\n", "slides/s1/a.dcm", "slides/s2/a.dcm")
    assert table["path"].tolist() == [None, tmp_path / "slides/s2/a.dcm"]


def test_a_share_that_is_gone_is_refused(tmp_path, monkeypatch):
    def gone(folder):
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "iterdir", gone)
    with pytest.raises(CohortError, match="slides: expected a folder that can be read, got Stale file handle; check"):
        slides_table(tmp_path, "case_id\tslide_id\np\ts1\n")
