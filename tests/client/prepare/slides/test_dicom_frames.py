import shutil
import struct

import pytest

from client.prepare.slides.dicom_frames import check_frames, series_of
from client.prepare.slides.slide import open_slide
from shared.errors import SlideError
from tests.slide_files import tissue_pixels, write_dicom_wsi

TABLE = struct.pack("<HHI", 0xFFFE, 0xE000, 4 * 12)  # the item before the pixels: one offset for each of 12 frames


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dicom")
    write_dicom_wsi(folder, tissue_pixels(384, 512), tile=128, downsamples=(1,))
    return folder / "level0.dcm"


def changed(series, folder, position, value):
    """A copy with another entry of the offset table."""
    data = bytearray(series.read_bytes())
    start = data.index(TABLE) + 8 + 4 * position
    data[start : start + 4] = struct.pack("<I", value)
    (folder / "level0.dcm").write_bytes(data)
    return folder / "level0.dcm"


def test_a_whole_file_passes(series):
    check_frames(series)
    assert series_of(series).startswith("1.2.826.")


@pytest.mark.parametrize(("position", "value"), [(0, 4), (3, 77), (5, 0), (11, 0x7FFFFFFF), (11, 0xFFFFFFFF)])
def test_a_table_that_points_elsewhere_is_refused(series, tmp_path, position, value):
    path = changed(series, tmp_path, position, value)
    for one in (path, tmp_path):
        with pytest.raises(SlideError, match="got one whose table of frames is damaged; copy it again"):
            open_slide(one)


def test_a_file_cut_short_is_refused(series, tmp_path):
    whole = series.read_bytes()
    for length in (len(whole) - 100, len(whole) // 2, whole.index(TABLE) + 20, whole.index(TABLE) + 3):
        (tmp_path / "level0.dcm").write_bytes(whole[:length])
        with pytest.raises(SlideError, match="table of frames is damaged"):
            check_frames(tmp_path / "level0.dcm")


def test_another_file_has_no_series(tmp_path):
    (tmp_path / "text.dcm").write_text("no DICOM")
    assert series_of(tmp_path / "text.dcm") == ""
    assert series_of(tmp_path / "missing.dcm") == ""


def test_a_damaged_identifier_is_no_warning_and_no_slide(series, tmp_path):
    data = series.read_bytes()
    (tmp_path / "level0.dcm").write_bytes(
        data.replace(b"1.2.840.10008.5.1.4.1.1.77.1.6", b"1.2.840.1\x010008.5.1.4.1.1.77.1.")
    )
    assert series_of(tmp_path / "level0.dcm") == ""


def test_refusals_name_no_file(series, tmp_path):
    folder = tmp_path / "TCGA-XX-1234"
    folder.mkdir()
    shutil.copy(series, folder / "TCGA-XX-1234-01.dcm")
    data = bytearray(series.read_bytes())
    start = data.index(b"\xff\xd8")
    data[start : start + 200] = bytes(200)
    (folder / "TCGA-XX-1234-01.dcm").write_bytes(data)
    with pytest.raises(SlideError, match="expected ") as refused, open_slide(folder) as slide:
        slide.read((0, 0), 0, slide.dimensions)
    assert "TCGA" not in str(refused.value)
