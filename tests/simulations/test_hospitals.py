"""Splitting a cohort into one folder a hospital."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from shared.cohort.imaging_sheet import read_imaging
from shared.cohort.tables import (
    read_blood,
    read_clinical,
    read_exclusions,
    read_expression,
    read_patients_by_genes,
    read_slides,
)
from shared.errors import BadInput, CohortError
from shared.site import read_site
from simulations.hospitals import site_of_patients, split_cohort

MakeCohort = Callable[..., Path]


def _clinical(*cases: str, **columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"case_id": list(cases), **columns})


def test_barcodes_give_sites_that_keep_their_zeros() -> None:
    clinical = _clinical("TCGA-02-0001", "TCGA-06-0125", "TCGA-HT-7468", "TCGA-06-0126-01A")
    expected = ["02", "06", "HT", "06"]
    assert list(site_of_patients(clinical, "tss").values()) == expected
    assert list(site_of_patients(clinical, None).values()) == expected


def test_a_column_gives_sites_as_they_are_written() -> None:
    clinical = _clinical("a", "b", "c", site=["02", " 06 ", "St. Mary"], ward=["1", "2", "2"])
    assert site_of_patients(clinical, None) == {"a": "02", "b": "06", "c": "St__Mary"}
    assert site_of_patients(clinical, "column:ward") == {"a": "1", "b": "2", "c": "2"}


@pytest.mark.parametrize("case", ["P1", "TCGA-0-0001", "TCGA-002-0001", "TCGA-02", "tcga-02-0001"])
def test_other_case_ids_are_refused_for_tss(case: str) -> None:
    message = "clinical.tsv: expected TCGA barcodes for --split tss, got 1 other case ids; use --split column:NAME"
    with pytest.raises(CohortError) as caught:
        site_of_patients(_clinical("TCGA-02-0001", case), "tss")
    assert str(caught.value) == message


def test_one_other_case_id_makes_the_column_the_default() -> None:
    with pytest.raises(CohortError, match=r"expected a column 'site' for --split, got none; name another"):
        site_of_patients(_clinical("TCGA-02-0001", "P1"), None)


def test_empty_cells_are_counted_and_refused() -> None:
    with pytest.raises(CohortError, match="expected a ward for every patient, got 2 empty; fill them in"):
        site_of_patients(_clinical("a", "b", "c", ward=["1", "", " "]), "column:ward")


def test_another_kind_of_split_is_refused() -> None:
    with pytest.raises(BadInput, match="--split: expected tss or column:NAME, got 'ward'; choose one of them"):
        site_of_patients(_clinical("a", ward=["1"]), "ward")


def test_two_names_that_would_become_one_site_are_refused() -> None:
    with pytest.raises(CohortError, match="expected names of site that differ .*, got 'A B' and 'A_B'; rename one"):
        site_of_patients(_clinical("a", "b", site=["A B", "A_B"]), None)


@pytest.mark.parametrize("name", ["_a", "-a", "(a)", "Å", "x" * 40])
def test_any_name_becomes_a_valid_site_id(name: str, make_cohort: MakeCohort, tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 2})
    clinical = read_clinical(cohort).assign(site=name)
    clinical.to_csv(cohort / "clinical.tsv", sep="\t", index=False)
    (hospital,) = split_cohort(cohort, "column:site", tmp_path / "cache")
    assert read_site(hospital.site_file).id == hospital.id


@pytest.fixture
def full_cohort(make_cohort: MakeCohort, tmp_path: Path) -> Path:
    """Two patients at 02 and three at HT, with every table that a cohort may have."""
    cohort = make_cohort(tmp_path / "glioma", {"02": 2, "HT": 3})
    (cohort / "mutations.tsv").write_text("case_id\tIDH1\nTCGA-02-0000\t1\nTCGA-HT-0001\t0\n")
    (cohort / "copy_number.tsv").write_text("case_id\tEGFR\nTCGA-HT-0002\t-2\n")
    (cohort / "blood.csv").write_text(
        "case_id,analyte,value,unit,ref_low,ref_high\nTCGA-02-0001,6768-6,80,U/L,30,120\nTCGA-HT-0000,6768-6,90,U/L,30,120\n"
    )
    (cohort / "slides.tsv").write_text("case_id\tslide_id\nTCGA-02-0000\tS1\nTCGA-HT-0000\tS2\nTCGA-HT-0001\tS3\n")
    (cohort / "slides").mkdir()
    (cohort / "slides" / "S1.svs").write_bytes(b"one")
    (cohort / "slides" / "S2.svs").write_bytes(b"two")  # S3 is only a name
    (cohort / "exclude.csv").write_text("case_id,date,reason\nTCGA-HT-0002,2026-01-01,withdrew consent\n")
    return cohort


def test_every_hospital_gets_its_own_patients_of_every_table(full_cohort: Path, tmp_path: Path) -> None:
    hospitals = split_cohort(full_cohort, None, tmp_path / "cache")
    assert [hospital.id for hospital in hospitals] == ["02", "HT"]
    data = {hospital.id: hospital.folder / "data" for hospital in hospitals}
    assert read_clinical(data["02"])["case_id"].tolist() == ["TCGA-02-0000", "TCGA-02-0001"]
    assert read_clinical(data["HT"]).equals(read_clinical(full_cohort).iloc[2:].reset_index(drop=True))
    whole, parts = read_expression(full_cohort), [read_expression(data[site]) for site in ("02", "HT")]
    assert whole is not None
    assert whole.equals(pd.concat([part for part in parts if part is not None], axis=1))
    mutations = read_patients_by_genes(data["02"], "mutations")
    assert mutations is not None
    assert mutations["IDH1"].to_dict() == {"TCGA-02-0000": 1.0}
    blood = read_blood(data["HT"])
    assert blood is not None
    assert blood[["case_id", "value"]].to_numpy().tolist() == [["TCGA-HT-0000", "90"]]
    assert read_exclusions(data["HT"]) == {"TCGA-HT-0002"}
    assert read_exclusions(data["02"]) == frozenset()


def test_slides_are_links_to_the_cohorts_files(full_cohort: Path, tmp_path: Path) -> None:
    hospital = split_cohort(full_cohort, "tss", tmp_path / "cache")[1]
    slides = read_slides(hospital.folder / "data")
    assert slides is not None
    assert slides["slide_id"].tolist() == ["S2", "S3"]
    link = slides["path"][0]
    assert link.is_symlink()
    assert link.resolve() == (full_cohort / "slides" / "S2.svs").resolve()
    assert slides["path"][1] is None


def test_the_site_file_reads_back(full_cohort: Path, tmp_path: Path) -> None:
    hospital = split_cohort(full_cohort, "tss", tmp_path / "cache")[0]
    site = read_site(hospital.site_file)
    assert (site.id, site.data, site.state) == ("02", hospital.folder / "data", hospital.folder / "state")
    assert site.state.is_dir()


@pytest.mark.parametrize(
    ("factor", "shift", "scale"),
    [
        (1.0, 0.0, "z"),
        (1.0, 9.0, "log2"),
        (20.0, 90.0, "tpm"),
        (8.0, 3.0, "log2"),  # some below 0, most genes above: log2 of TPM and a small constant
    ],
)
def test_the_scale_is_the_one_that_the_table_seems_to_be_on(
    factor: float, shift: float, scale: str, make_cohort: MakeCohort, tmp_path: Path
) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 30})
    table = read_expression(cohort)
    assert table is not None
    (table * factor + shift).to_csv(cohort / "expression.tsv", sep="\t", index_label="gene_symbol")
    (hospital,) = split_cohort(cohort, None, tmp_path / "cache")
    assert read_site(hospital.site_file).expression.scale == scale


def test_an_unchanged_cohort_is_not_split_again(full_cohort: Path, tmp_path: Path) -> None:
    first = split_cohort(full_cohort, None, tmp_path / "cache")
    (first[0].folder / "state" / "kept").touch()
    again = split_cohort(full_cohort, "tss", tmp_path / "cache")  # the same sites, said otherwise
    assert [hospital.folder for hospital in again] == [hospital.folder for hospital in first]
    assert (first[0].folder / "state" / "kept").is_file()


def test_a_cohort_that_moved_is_linked_anew(full_cohort: Path, tmp_path: Path) -> None:
    split_cohort(full_cohort, None, tmp_path / "cache")
    (tmp_path / "elsewhere").mkdir()
    moved = full_cohort.rename(tmp_path / "elsewhere" / "glioma")
    slides = read_slides(split_cohort(moved, None, tmp_path / "cache")[1].folder / "data")
    assert slides is not None
    assert slides["path"][0].read_bytes() == b"two"


def test_a_changed_table_is_split_anew(full_cohort: Path, tmp_path: Path) -> None:
    first = split_cohort(full_cohort, None, tmp_path / "cache")
    (full_cohort / "mutations.tsv").write_text("case_id\tIDH1\nTCGA-02-0000\t0\n")
    assert split_cohort(full_cohort, None, tmp_path / "cache")[0].folder != first[0].folder


def test_a_slide_that_came_later_is_linked(full_cohort: Path, tmp_path: Path) -> None:
    split_cohort(full_cohort, None, tmp_path / "cache")
    (full_cohort / "slides" / "S3.svs").write_bytes(b"three")
    slides = read_slides(split_cohort(full_cohort, None, tmp_path / "cache")[1].folder / "data")
    assert slides is not None
    assert slides["path"].notna().all()


def test_an_interrupted_split_is_written_again(full_cohort: Path, tmp_path: Path) -> None:
    first = split_cohort(full_cohort, None, tmp_path / "cache")
    root = first[0].folder.parent
    (root / "complete").unlink()
    (first[0].folder / "data" / "clinical.tsv").write_text("half")
    again = split_cohort(full_cohort, None, tmp_path / "cache")
    assert again[0].folder == first[0].folder
    assert len(read_clinical(again[0].folder / "data")) == 2
    assert (root / "complete").is_file()


def test_the_pixels_of_a_mirax_slide_come_along(make_cohort: MakeCohort, tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 1})
    (cohort / "slides.tsv").write_text("case_id\tslide_id\nTCGA-AA-0000\tS1\n")
    (cohort / "slides" / "S1").mkdir(parents=True)
    (cohort / "slides" / "S1" / "Data0000.dat").write_bytes(b"pixels")
    (cohort / "slides" / "S1.mrxs").write_bytes(b"head")
    (hospital,) = split_cohort(cohort, None, tmp_path / "cache")
    assert (hospital.folder / "data" / "slides" / "S1" / "Data0000.dat").read_bytes() == b"pixels"


@pytest.fixture
def imaged_cohort(make_cohort: MakeCohort, tmp_path: Path) -> Path:
    """Radiographs, one of them without a file, a DICOM series, features made elsewhere, and resolutions."""
    cohort = make_cohort(tmp_path / "bone", {"AA": 2, "BB": 2})
    (cohort / "imaging.csv").write_text(
        "case_id,image_id,modality,label,x0,y0,x1,y1\n"
        "TCGA-AA-0000,I1,DX,lesion,1,2,3,4\nTCGA-AA-0000,I1,DX,lesion,5,6,7,8\n"
        "TCGA-BB-0001,I2,DX,,,,,\nTCGA-BB-0001,I3,DX,,,,,\n"
    )
    (cohort / "slides.tsv").write_text("case_id\tslide_id\tmpp\nTCGA-AA-0001\tS1\t0.25\nTCGA-BB-0000\tS2\t\n")
    files = ("imaging/I1.png", "imaging/I2.dcm", "slides/S1/1.dcm", "slides/S1/2.dcm", "features/slides/S2.h5")
    for name in files:
        (cohort / name).parent.mkdir(parents=True, exist_ok=True)
        (cohort / name).write_text(name)
    return cohort


def test_images_series_and_features_go_to_their_hospital(imaged_cohort: Path, tmp_path: Path) -> None:
    a, b = (hospital.folder / "data" for hospital in split_cohort(imaged_cohort, None, tmp_path / "cache"))
    (one,), two = read_imaging(a) or [], read_imaging(b) or []
    assert (one.image_id, one.boxes, one.path) == ("I1", ((1, 2, 3, 4), (5, 6, 7, 8)), a / "imaging/I1.png")
    assert [(image.image_id, image.path) for image in two] == [("I2", b / "imaging/I2.dcm"), ("I3", None)]
    assert (b / "imaging/I2.dcm").resolve() == (imaged_cohort / "imaging/I2.dcm").resolve()
    slides_a, slides_b = read_slides(a), read_slides(b)
    assert slides_a is not None
    assert slides_b is not None
    assert slides_a["path"].tolist() == [a / "slides/S1/1.dcm"]
    assert (a / "slides/S1/2.dcm").read_text() == "slides/S1/2.dcm"
    assert slides_a["mpp"].tolist() == [0.25]
    assert slides_b["mpp"].isna().all()
    assert slides_b["features"].tolist() == [b / "features/slides/S2.h5"]


@pytest.mark.parametrize("name", ["imaging/I3.png", "slides/S1/3.dcm", "features/slides/S1.h5"])
def test_an_image_a_series_or_features_that_came_later_are_linked(
    imaged_cohort: Path, tmp_path: Path, name: str
) -> None:
    first = split_cohort(imaged_cohort, None, tmp_path / "cache")
    (imaged_cohort / name).write_text("later")
    again = split_cohort(imaged_cohort, None, tmp_path / "cache")
    assert again[0].folder != first[0].folder
    assert any((hospital.folder / "data" / name).is_file() for hospital in again)
