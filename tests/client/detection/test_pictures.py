"""What a site's pictures become for a detection study."""

from collections.abc import Callable

import numpy as np
import pytest

from client.detection.pictures import fitted, load_pictures
from client.detection.session import DetectionSession
from shared.errors import Refused
from shared.site import Site
from tests.picture_files import detection_study, write_pictures

STUDY = detection_study()
PATIENTS = {f"P{i:02d}": int(i % 4 > 0) for i in range(24)}  # 18 with a lesion, 6 without


@pytest.fixture
def pictures(site: Site) -> Site:
    write_pictures(site.data, PATIENTS)
    return site


def test_a_picture_stands_in_the_middle_of_a_grey_square():
    pixels = np.full((40, 20, 3), 200, dtype=np.uint8)
    square, factor, corner = fitted(pixels, 64)
    assert square.shape == (64, 64, 3)
    assert (factor, corner) == (1.6, (16, 0))
    assert (square[:, 16:48] == 200).all()
    assert (square[:, :16] == 114).all()
    assert (square[:, 48:] == 114).all()


def test_boxes_lie_where_the_lesion_is(pictures: Site):
    boxed = [example for example in load_pictures(pictures, STUDY).train if len(example.boxes)]
    assert len(boxed) == 12
    for example in boxed:
        rows, columns = np.nonzero(example.pixels[0].numpy() > 180)
        bright = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert example.boxes[0].numpy() == pytest.approx(bright, abs=1)
        assert example.pixels.shape == (3, 64, 64)


def test_patients_with_and_without_a_lesion_are_split_apart(pictures: Site):
    data = load_pictures(pictures, STUDY)
    assert sorted(data.boxed) == [False] * 2 + [True] * 6  # ceil(.3 x 6), ceil(.3 x 18)
    assert {e.case_id for e in data.train} | {e.case_id for e in data.test} == set(PATIENTS)
    assert not {e.case_id for e in data.train} & {e.case_id for e in data.test}
    assert data.patients == 16


def test_both_pictures_of_a_patient_go_to_one_side_and_a_third_is_not_read(pictures: Site):
    sheet = (pictures.data / "imaging.csv").read_text()
    for number in (1, 2):
        sheet += f"P01,P01-{number},XR,,,,\n"
        (pictures.data / f"imaging/P01-{number}.png").write_bytes((pictures.data / "imaging/P01.png").read_bytes())
    (pictures.data / "imaging.csv").write_text(sheet)
    data = load_pictures(pictures, STUDY)
    sides = [[e.case_id for e in side].count("P01") for side in (data.train, data.test)]
    assert sorted(sides) == [0, 2]
    assert data.patients == 16


def test_an_excluded_patient_goes_and_nobody_else_changes_sides(pictures: Site):
    before = load_pictures(pictures, STUDY)
    gone = before.train[0].case_id
    after = load_pictures(pictures, STUDY, {gone})
    assert [e.case_id for e in after.test] == [e.case_id for e in before.test]
    assert [e.case_id for e in after.train] == [e.case_id for e in before.train if e.case_id != gone]
    assert after.excluded == {"exclude.csv": 1}


def test_a_damaged_picture_is_counted_and_the_others_are_used(pictures: Site):
    (pictures.data / "imaging/P05.png").write_bytes(b"\x89PNG\r\n damaged")
    data = load_pictures(pictures, STUDY)
    assert len(data.train) + len(data.test) == 23
    assert data.excluded == {"a picture that cannot be used": 1}


def test_a_site_that_marks_nothing_cannot_take_part(site: Site):
    with pytest.raises(Refused, match="expected pictures with drawn lesions, got none") as caught:
        load_pictures(site, STUDY)  # not even a table
    write_pictures(site.data, PATIENTS, boxed=False)
    with pytest.raises(Refused, match="mark some in imaging.csv"):
        DetectionSession(site, STUDY)
    assert caught.value.code == "NO_PATIENTS"


def test_a_session_counts_training_patients(pictures: Site, make_site: Callable[[str], Site]):
    session = DetectionSession(pictures, STUDY)
    assert session.counts == {"imaging": 16, "fusion": 16}
    strict = make_site("[disclosure]\nmin_patients = 17\n")
    with pytest.raises(Refused, match="expected at least 17 training patients, got 16") as caught:
        DetectionSession(strict, STUDY)
    assert caught.value.code == "TOO_FEW_PATIENTS"
