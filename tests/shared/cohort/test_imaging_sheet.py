import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.cohort.imaging_sheet import ListedImage, read_imaging, unlisted_images
from shared.errors import CohortError

HEADER = "case_id,image_id,modality,label,x0,y0,x1,y1\n"


def write(folder, text, *files):
    (folder / "imaging").mkdir(exist_ok=True)
    for name in files:
        (folder / "imaging" / name).touch()
    (folder / "imaging.csv").write_text(text)
    return folder


def test_images_are_read_with_their_files_and_boxes(tmp_path):
    rows = "P2,b.png,XR,tumour,1,2,30.5,40\nP1,a,XR,,,,,\nP2,b,XR,,5,6,7,8\nP1,c.DCM,CT,,,,,\n"
    images = read_imaging(write(tmp_path, HEADER + rows, "a.jpeg", "b.png", "c.DCM", "d.png", "notes.txt"))
    folder = tmp_path / "imaging"
    assert images == [
        ListedImage("P1", "a", "XR", folder / "a.jpeg", (), ""),
        ListedImage("P1", "c", "CT", folder / "c.DCM", (), ""),
        ListedImage("P2", "b", "XR", folder / "b.png", ((1, 2, 30.5, 40), (5, 6, 7, 8)), ""),
    ]
    assert unlisted_images(tmp_path, images) == [folder / "d.png"]


def test_an_image_of_two_patients_costs_that_image_alone(tmp_path):
    rows = "P,IMG1.dcm,XR\nQ,IMG1.png,XR\nQ,b,XR\nQ,c,XR\nQ,c,CT\n"
    folder = write(tmp_path, "case_id,image_id,modality\n" + rows, "IMG1.dcm", "IMG1.png", "b.png", "c.png")
    images = read_imaging(folder)
    assert [(image.case_id, image.image_id, image.fault == "") for image in images] == [
        ("P", "IMG1", False),
        ("Q", "IMG1", False),
        ("Q", "b", True),
        ("Q", "c", False),
    ]
    same = "imaging.csv, line 3: expected the case_id of line 2, where the same image stands, got another; correct one"
    assert images[0].fault.startswith(same)
    assert images[1].fault == images[0].fault
    assert images[3].fault.startswith("imaging.csv, line 6: expected the modality of line 5")
    assert unlisted_images(tmp_path, images) == []


def test_links_to_nothing_and_pipes_are_no_images(tmp_path):
    write(tmp_path, "case_id,image_id,modality\nP,a,XR\nP,b,XR\nP,c,XR\n", "c.PNG")
    (tmp_path / "imaging/a.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "imaging/b.png")
    assert [image.path for image in read_imaging(tmp_path)] == [None, None, tmp_path / "imaging/c.PNG"]


def test_a_share_that_is_gone_is_refused(tmp_path, monkeypatch):
    write(tmp_path, "case_id,image_id,modality\nP,a,XR\n")
    monkeypatch.setattr(Path, "iterdir", gone)
    with pytest.raises(CohortError, match="imaging: expected a folder that can be read, got .*not connected; check"):
        read_imaging(tmp_path)


def gone(folder):
    raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")


def test_the_first_of_several_suffixes_counts(tmp_path):
    (image,) = read_imaging(write(tmp_path, "case_id,image_id,modality\nP,a,XR\n", "a.png", "a.dcm", "a.jpg"))
    assert image.path == tmp_path / "imaging/a.dcm"


def test_no_sheet_and_no_file(tmp_path):
    assert read_imaging(tmp_path) is None
    assert unlisted_images(tmp_path, []) == []
    (image,) = read_imaging(write(tmp_path, "case_id,image_id,modality\nP,a,XR\n"))
    assert image == ListedImage("P", "a", "XR", None, (), "")


@pytest.mark.parametrize(
    "cells", ["5,2,5,4", "1,9,3,4", "-1,2,3,4", "1,2,3,", "a,2,3,4", "nan,2,3,4", "1,2,inf,4", ",,,4"]
)
def test_a_box_that_is_none_costs_its_image_alone(tmp_path, cells):
    images = read_imaging(write(tmp_path, f"{HEADER}P,a,XR,,1,2,3,4\nP,a,XR,,{cells}\nQ,b,XR,,1,2,3,4\n"))
    assert [image.fault == "" for image in images] == [False, True]
    assert images[0].fault.startswith("imaging.csv, line 3: expected a box x0 < x1, y0 < y1 of numbers from 0, got ")
    assert images[0].fault.endswith("; correct it")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case_id,image_id\nP,a\n", "expected a column 'modality', got none; add it"),
        ("case_id,image_id,modality,x0,y1\nP,a,XR,1,2\n", "expected a column 'y0', got none"),
        ("case_id,image_id,modality\nP,../a,XR\n", "line 2: expected an image_id of letters.*got other characters"),
        ("case_id,image_id,modality\nP,,XR\n", "line 2: expected an image_id of letters.*got nothing"),
        ("case_id,image_id,modality\nP,.png,XR\n", "line 2: expected an image_id of letters.*got nothing"),
    ],
)
def test_a_malformed_sheet_is_refused_by_line(tmp_path, text, message):
    with pytest.raises(CohortError, match=message) as caught:
        read_imaging(write(tmp_path, text))
    assert "Q" not in str(caught.value).replace(str(tmp_path), "")


CELL = st.sampled_from(["", "P", "Q", "a", "b.png", "XR", "1", "2.5", "-3", "1e999", "nan", "../x", '"', "x y", "0"])
ROWS = st.lists(st.lists(CELL, min_size=8, max_size=8), max_size=5)


@given(ROWS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sheet_is_images_with_sound_boxes_or_an_error(tmp_path, rows):
    text = HEADER + "".join(",".join(row) + "\n" for row in rows)
    with suppress(CohortError):
        images = read_imaging(write(tmp_path, text)) or []
        assert [(image.case_id, image.image_id) for image in images] == sorted(
            {(image.case_id, image.image_id) for image in images}
        )
        assert all(0 <= x0 < x1 and 0 <= y0 < y1 for image in images for x0, y0, x1, y1 in image.boxes)
        assert all("/" not in image.image_id for image in images)


BOXES = st.tuples(*[st.floats(0, 1000, allow_nan=False)] * 2, *[st.floats(0.125, 100)] * 2)


@given(st.lists(BOXES, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_boxes_are_read_as_written(tmp_path, boxes):
    written = [(x, y, x + w, y + h) for x, y, w, h in boxes]
    rows = [",".join(["P", "a", "XR", "", *map(repr, box)]) + "\n" for box in written] or ["P,a,XR,,,,,\n"]
    (image,) = read_imaging(write(tmp_path, HEADER + "".join(rows)))
    assert (image.boxes, image.fault) == (tuple(written), "")
