"""The files of a bone cohort."""

import hashlib
from pathlib import Path

import numpy as np
import openslide
import pandas as pd
import pydicom
import pytest
from PIL import Image

from shared.cohort.imaging_sheet import read_imaging
from shared.cohort.tables import read_blood, read_clinical, read_slides
from shared.errors import CohortError
from simulations.synthetic import BONE, cohort_digest, cohort_folder, read_marker, write_cohort
from simulations.synthetic.bone.hospitals import BONE_HOSPITALS, TUMOURS, BoneHospital
from simulations.synthetic.bone.patients import draw_bone_patients
from simulations.synthetic.bone.scene import SHAPE


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def picture(path: Path) -> np.ndarray:
    """Brightness 0 to 1, bone bright."""
    if path.suffix == ".png":
        return np.asarray(Image.open(path)) / 255
    file = pydicom.dcmread(path)
    stored = file.pixel_array / (2**file.BitsStored - 1)
    return 1 - stored if file.PhotometricInterpretation == "MONOCHROME1" else stored


@pytest.mark.slow
def test_two_workers_write_the_same_bytes_as_one(
    bone_cohort: Path, bone_hospitals: tuple[BoneHospital, ...], tmp_path: Path
) -> None:
    write_cohort(tmp_path / "again", kind=BONE, seed=3, workers=2, hospitals=bone_hospitals)
    assert hashes(tmp_path / "again") == hashes(bone_cohort)


def test_a_hospital_is_the_same_without_the_others(
    bone_cohort: Path, bone_hospitals: tuple[BoneHospital, ...], tmp_path: Path
) -> None:
    write_cohort(tmp_path / "alone", kind=BONE, seed=3, workers=1, hospitals=bone_hospitals[1:2])
    alone, together = hashes(tmp_path / "alone"), hashes(bone_cohort)
    images = [name for name in alone if name.endswith(".dcm")]
    assert len(images) >= 3
    assert all(alone[name] == together[name] for name in images)


def test_the_folder_holds_what_the_architecture_says(bone_cohort: Path) -> None:
    names = {path.name for path in bone_cohort.iterdir()}
    assert names == {"SYNTHETIC", "clinical.tsv", "blood.csv", "slides.tsv", "slides", "imaging.csv", "imaging"}
    clinical = read_clinical(bone_cohort)
    assert set(clinical["site"]) == {"AA", "02", "CC", "DD"}
    assert set(clinical["tumour"]) <= set(TUMOURS)
    blood, slides, images = read_blood(bone_cohort), read_slides(bone_cohort), read_imaging(bone_cohort)
    assert blood is not None
    assert slides is not None
    assert images is not None
    assert not {case[5:7] for case in blood["case_id"]} & {"CC"}
    assert not {case[5:7] for case in slides["case_id"]} & {"02"}
    assert not {image.case_id[5:7] for image in images} & {"DD"}
    assert slides["path"].notna().all()
    assert all(image.path is not None and not image.fault for image in images)


def test_boxes_lie_in_their_images_and_hold_the_lesion(bone_cohort: Path) -> None:
    images = read_imaging(bone_cohort) or []
    marked = [image for image in images if image.boxes]
    assert {image.case_id[5:7] for image in marked} == {"AA", "02"}
    for image in marked:
        (x0, y0, x1, y1) = image.boxes[0]
        assert 0 <= x0 < x1 <= SHAPE[1]
        assert 0 <= y0 < y1 <= SHAPE[0]
        assert 40 < min(x1 - x0, y1 - y0) <= max(x1 - x0, y1 - y0) < 180


def test_images_are_as_the_hospital_exports_them(bone_cohort: Path) -> None:
    images = read_imaging(bone_cohort) or []
    kinds = {}
    for image in images:
        assert image.path is not None
        pixels = picture(image.path)
        assert pixels.shape == SHAPE
        # a column of bone in the middle is brighter than the air at the sides, however the file stores it
        assert pixels[:, 120:170].mean() > pixels[:, :20].mean() + 0.2
        if image.path.suffix == ".dcm":
            file = pydicom.dcmread(image.path)
            kinds[image.case_id[5:7]] = (file.PhotometricInterpretation, file.BitsAllocated, file.PatientID)
            assert file.PatientID == image.case_id
            assert "StudyDate" not in file
        else:
            kinds[image.case_id[5:7]] = ("PNG", 8, "")
    assert {site: kind[:2] for site, kind in kinds.items()} == {
        "AA": ("PNG", 8),
        "02": ("MONOCHROME1", 16),
        "CC": ("MONOCHROME2", 16),
    }


def test_slides_open(bone_cohort: Path) -> None:
    path = next(iter(sorted((bone_cohort / "slides").glob("*.svs"))))
    with openslide.OpenSlide(path) as slide:
        assert slide.dimensions == (512, 512)
        assert float(slide.properties["openslide.mpp-x"]) == 0.5


def test_the_marker_and_the_digest_name_the_kind(bone_cohort: Path, tmp_path: Path) -> None:
    marker = read_marker(bone_cohort)
    assert marker is not None
    assert (marker["kind"], marker["seed"]) == ("bone", 3)
    assert marker["modalities"] == ["slides", "blood", "imaging", "clinical"]
    assert cohort_digest(kind=BONE) != cohort_digest()
    assert cohort_folder(tmp_path, BONE, 1).name == f"bone-{cohort_digest(1, kind=BONE)}"


def test_another_kind_is_never_written_over_it(bone_cohort: Path) -> None:
    with pytest.raises(CohortError, match="expected an empty folder or this synthetic cohort"):
        write_cohort(bone_cohort, seed=3)


def test_class_counts_follow_the_mix_and_what_is_not_offered_is_missing() -> None:
    for hospital in BONE_HOSPITALS:
        patients = draw_bone_patients(hospital, seed=1)
        shares = pd.Series([patient.tumour for patient in patients]).value_counts(normalize=True)
        found = [shares.get(name, 0.0) for name in TUMOURS]
        np.testing.assert_allclose(found, hospital.class_mix, atol=1 / hospital.patients)
        assert any(patient.views for patient in patients) == hospital.imaging
        assert any(patient.has_slide for patient in patients) == hospital.slides
        assert any(patient.has_blood for patient in patients) == hospital.blood
        assert all(patient.views or patient.has_slide or patient.has_blood for patient in patients)


@pytest.mark.parametrize("wrong", [{"code": "A"}, {"patients": 0}, {"class_mix": (0.5, 0.6, 0.1)}])
def test_a_wrong_hospital_is_refused(wrong: dict[str, object]) -> None:
    right: dict[str, object] = {"code": "AA", "patients": 4}
    with pytest.raises(ValueError, match="hospital .*expected .*, got .*;"):
        BoneHospital(**{**right, **wrong})  # type: ignore[arg-type]
