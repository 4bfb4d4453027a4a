from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from client.prepare.encoders import Encoder
from client.prepare.encoders.plan import Plan
from client.prepare.imaging import folder
from client.prepare.imaging.crop import square_tile
from client.prepare.imaging.detector import Lesion
from client.prepare.imaging.dicom import BURNED_IN
from client.prepare.imaging.folder import prepare_images
from client.prepare.patients import read_roster
from shared.cohort.image_file import write_images
from shared.errors import SiteFileError
from shared.study import Imaging

CLINICAL = "case_id\nP1\nP2\nP3\n"
SHEET = "case_id,image_id,modality,x0,y0,x1,y1\n"
SETTINGS = Imaging(encoder="resnet18", weights="random")
NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)


def forward(tiles: np.ndarray) -> np.ndarray:
    """Features of 5 numbers: the mean of each channel, and two pixels."""
    return np.column_stack([tiles.mean(axis=(1, 2)), tiles[:, 50, 60, 0], tiles[:, 150, 90, 1]]).astype(np.float32)


@pytest.fixture
def encoder() -> Encoder:
    """One whose features are worked out at once; real ones are tested on their own."""
    return Encoder("five:random", 5, "e" * 64, "f" * 64, Plan(), forward)


@pytest.fixture
def hospital(make_site, tmp_path):
    """Write a site of imaging.csv rows, with a noise picture for each of `files`; returns it."""

    def make(rows: str, files: Sequence[str] = (), sections: str = "", exclude: str = "case_id\n"):
        (tmp_path / "data/imaging").mkdir(parents=True, exist_ok=True)
        for shift, name in enumerate(files):
            Image.fromarray(np.roll(NOISE, shift, axis=1)).save(tmp_path / "data/imaging" / name)
        return make_site({"clinical.tsv": CLINICAL, "imaging.csv": SHEET + rows, "exclude.csv": exclude}, sections)

    return make


def images(site, encoder, report, settings=SETTINGS, progress=lambda what, done, total: None):
    return prepare_images(site, settings, encoder, read_roster(site), report, progress)


def rows(report) -> list[tuple[str, str, str]]:
    return [(row.file, row.state, row.reason) for row in report.rows]


def test_images_stand_in_order_with_their_lesions(hospital, encoder, report):
    text = "P2,b,XR,10,10,30,40\nP2,a,XR,,,,\nP1,z,XR,10,10,20,20\nP1,z,XR,40,10,70,50\n"
    site, steps = hospital(text, ["a.png", "b.png", "z.png"]), []
    read = images(site, encoder, report, progress=lambda *step: steps.append(step))
    keys = read_roster(site).keys
    assert read.keys == (keys["P1"], keys["P2"], keys["P2"])
    assert read.image_id == ("z", "a", "b")
    assert read.boxes.tolist() == [[40, 10, 70, 50], [0, 0, 80, 60], [10, 10, 30, 40]]
    assert read.box_found.tolist() == [True, False, True]
    tiles = [
        square_tile(np.roll(NOISE, 2, axis=1), (40, 10, 70, 50)),
        square_tile(NOISE, None),
        square_tile(np.roll(NOISE, 1, axis=1), (10, 10, 30, 40)),
    ]
    np.testing.assert_array_equal(read.features, encoder.encode(np.stack(tiles)))
    assert rows(report) == [
        ("imaging/z.png", "used", "largest of 2 lesions as drawn"),
        ("imaging/a.png", "used", "whole image: no box was drawn, and the site has no detector"),
        ("imaging/b.png", "used", "lesion as drawn"),
    ]
    assert steps == [("imaging", 1, 3), ("imaging", 2, 3), ("imaging", 3, 3)]
    assert read.attributes == {
        "encoder": "five:random",
        "encoder_sha256": encoder.sha256,
        "recipe_sha256": "f" * 64,
        "dim": 5,
        "precision": "fp32",
        "engine": encoder.engine,
        "detector_sha256": "",
    }


def test_bf16_is_held_against_fp32_once_on_real_tiles(hospital, report):
    def rough(tiles):
        return np.round(forward(tiles) / 8) * 8

    exact = Encoder("five:random", 5, "e" * 64, "f" * 64, Plan(), forward)
    asked = []
    encoder = Encoder(
        "five:random", 5, "e" * 64, "f" * 64, Plan(precision="bf16"), rough, in_fp32=lambda: asked.append(1) or exact
    )
    text = "".join(f"P{1 + n % 3},{n:02d},XR,,,,\n" for n in range(encoder.batch + 2))
    settings = SETTINGS.model_copy(update={"max_images": 100})
    site = hospital(text, [f"{n:02d}.png" for n in range(encoder.batch + 2)])
    read = images(site, encoder, report, settings)
    assert read.features.shape == (encoder.batch + 2, 5)
    assert asked == [1]
    assert read.attributes["precision"] == "fp32"
    assert rows(report)[-1][:2] == ("encoder five:random", "noted")
    assert "fp32 is used" in rows(report)[-1][2]


def test_without_crop_the_whole_image_is_encoded(hospital, encoder, report):
    site = hospital("P1,a,XR,10,10,30,40\n", ["a.png"], '[imaging]\ndetector = "missing"')
    read = images(site, encoder, report, SETTINGS.model_copy(update={"crop": False}))
    assert read.box_found.tolist() == [False]
    np.testing.assert_array_equal(read.features, encoder.encode(square_tile(NOISE, None)[np.newaxis]))


def test_a_detector_is_used_on_all_images_drawn_boxes_or_not(hospital, encoder, report, monkeypatch):
    class Finder:
        sha256 = "f" * 64

        def find(self, pixels):
            left = pixels[0, 0].tolist() == NOISE[0, 0].tolist()
            return Lesion((5.0, 5.0, 25.0, 25.0), 0.875) if left else None

    monkeypatch.setattr(folder, "open_detector", lambda site: Finder())
    read = images(hospital("P1,a,XR,40,10,70,50\nP1,b,XR,40,10,70,50\n", ["a.png", "b.png"]), encoder, report)
    assert read.boxes.tolist() == [[5, 5, 25, 25], [0, 0, 80, 60]]
    assert read.box_found.tolist() == [True, False]
    assert [reason for _, _, reason in rows(report)] == [
        "lesion found with confidence 0.88",
        "whole image: the detector found no lesion",
    ]
    assert read.attributes["detector_sha256"] == "f" * 64


def test_a_missing_detector_stops_the_work(hospital, encoder, report):
    site = hospital("P1,a,XR,,,,\n", ["a.png"], '[imaging]\ndetector = "missing"')
    with pytest.raises(SiteFileError, match=r"expected a folder with detector\.toml or a \.pt file, got neither"):
        images(site, encoder, report)


def test_what_cannot_be_used_is_a_row_and_the_rest_goes_on(hospital, encoder, report, write_dicom, tmp_path):
    text = (
        "P1,ok,XR,,,,\nP1,gone,XR,,,,\nP1,wrong,XR,5,5,5,9\nP2,beside,XR,900,10,950,50\nP2,empty,XR,,,,\n"
        "P2,film,US,,,,\nP2,named,XR,,,,\nP9,stranger,XR,,,,\n"
    )
    site = hospital(text, ["ok.png", "wrong.png", "beside.png", "stranger.png", "extra.png"])
    (tmp_path / "data/imaging/empty.jpg").touch()
    write_dicom(NOISE, "data/imaging/film.dcm", NumberOfFrames=3)
    write_dicom(NOISE, "data/imaging/named.dcm", BurnedInAnnotation="YES")
    read = images(site, encoder, report)
    assert read.image_id == ("ok", "named")
    found = {(file, state): reason for file, state, reason in rows(report)}
    assert found.pop(("imaging/ok.png", "used"))
    assert found.pop(("imaging/named.dcm", "used"))
    assert found.pop(("imaging/named.dcm", "noted")) == BURNED_IN
    assert found.pop(("imaging/wrong.png", "left out")).startswith("imaging.csv, line 4: expected a box")
    assert found.pop(("imaging/beside.png", "left out")).startswith("expected a box inside the image of 80 x 60 px")
    assert found.pop(("imaging/film.dcm", "left out")).startswith("expected one frame, got 3")
    assert found == {
        ("imaging/extra.png", "left out"): "not listed in imaging.csv, so nobody's",
        ("imaging/gone", "left out"): "listed in imaging.csv, but no such file",
        ("imaging/empty.jpg", "left out"): "expected an image, got an empty file; copy it again",
        ("imaging/stranger.png", "left out"): "not in clinical.tsv",
    }


def test_excluded_patients_leave_no_trace(hospital, encoder, report):
    site = hospital("P1,a,XR,,,,\nP2,b,XR,,,,\n", ["a.png", "b.png"], exclude="case_id\nP2\n")
    assert images(site, encoder, report).image_id == ("a",)
    assert [file for file, _, _ in rows(report)] == ["imaging/a.png"]


def test_a_patient_has_no_more_images_than_the_study_takes(hospital, encoder, report, tmp_path):
    site = hospital("".join(f"P1,{n},XR,,,,\n" for n in "abcd"), ["b.png", "c.png", "d.png"])
    (tmp_path / "data/imaging/a.png").touch()  # empty: does not count
    read = images(site, encoder, report, SETTINGS.model_copy(update={"max_images": 2}))
    assert read.image_id == ("b", "c")
    assert rows(report)[-1] == ("imaging/d.png", "noted", "not used: the study takes at most 2 images a patient")


def test_a_malformed_sheet_costs_the_images_alone(hospital, encoder, report):
    read = images(hospital("P1,a,XR,,,,\nP2,../b,XR,,,,\n", ["a.png"]), encoder, report)
    assert (read.features.shape, read.boxes.shape, read.keys) == ((0, 5), (0, 4), ())
    assert rows(report)[0][:2] == ("imaging.csv", "left out")
    assert "line 3: expected an image_id" in rows(report)[0][2]


def test_an_image_of_two_patients_costs_that_image_alone(hospital, encoder, report):
    site = hospital("P1,a.png,XR,,,,\nP2,a.jpg,XR,,,,\nP2,b,XR,,,,\n", ["a.png", "b.png"])
    assert images(site, encoder, report).image_id == ("b",)
    assert [(file, state) for file, state, _ in rows(report)] == [
        ("imaging/a.png", "left out"),
        ("imaging/a.png", "left out"),
        ("imaging/b.png", "used"),
    ]


def test_without_sheet_files_are_nobodys(hospital, encoder, report, tmp_path):
    site = hospital("", ["a.png"])
    (tmp_path / "data/imaging.csv").unlink()
    assert images(site, encoder, report).keys == ()
    assert rows(report) == [("imaging/a.png", "left out", "not listed in imaging.csv, so nobody's")]


def test_two_runs_give_the_same_bytes(hospital, encoder, report, tmp_path):
    site = hospital("P1,a,XR,10,10,30,40\nP2,b,XR,,,,\n", ["a.png", "b.png"])
    for name in ("one.h5", "two.h5"):
        write_images(tmp_path / name, images(site, encoder, report))
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
