import shutil

import numpy as np
import pytest

from client.prepare.slides.parts import entry_file, slide_parts
from client.prepare.slides.slide import open_slide
from shared.errors import SlideError
from tests.slide_files import tissue_pixels, write_dicom_wsi, write_pyramid

PIXELS = tissue_pixels(384, 512)


def names(parts):
    return [part.name for part in parts]


def test_most_slides_are_one_file(tmp_path):
    path = write_pyramid(tmp_path / "s.svs", PIXELS)
    (tmp_path / "other.svs").write_bytes(b"")
    assert slide_parts(path) == (path,)
    assert entry_file(path) == path


def test_a_dicom_slide_is_its_folder(tmp_path):
    write_dicom_wsi(tmp_path / "s", PIXELS)
    (tmp_path / "s/notes.txt").write_text("scanned twice")
    assert names(slide_parts(tmp_path / "s")) == ["level0.dcm", "level1.dcm", "notes.txt"]
    assert entry_file(tmp_path / "s").name == "level0.dcm"
    with open_slide(tmp_path / "s") as folder, open_slide(tmp_path / "s/level1.dcm") as file:
        assert folder.level_dimensions == file.level_dimensions == ((512, 384), (128, 96))
        np.testing.assert_array_equal(folder.read((40, 40), 0, (99, 50)), file.read((40, 40), 0, (99, 50)))


def test_loose_dicom_files_belong_to_their_series(tmp_path):
    for name in ("one", "two"):
        write_dicom_wsi(tmp_path / name, PIXELS)
        for level in (0, 1):
            shutil.move(tmp_path / name / f"level{level}.dcm", tmp_path / f"{name}{level}.dcm")
    (tmp_path / "broken.dcm").write_bytes(b"")
    assert names(slide_parts(tmp_path / "one0.dcm")) == ["one0.dcm", "one1.dcm"]
    assert names(slide_parts(tmp_path / "broken.dcm")) == ["broken.dcm"]


@pytest.mark.parametrize("series", [0, 2])
def test_a_folder_must_hold_one_series(tmp_path, series):
    (tmp_path / "s").mkdir()
    (tmp_path / "s/README").write_text("empty")
    for number in range(series):
        shutil.move(write_dicom_wsi(tmp_path / str(number), PIXELS), tmp_path / f"s/{number}.dcm")
    with pytest.raises(SlideError, match=f"one DICOM whole-slide series, got {series} series; put each series into"):
        open_slide(tmp_path / "s")


def test_a_mirax_slide_has_a_folder(tmp_path):
    (tmp_path / "s").mkdir()
    for name in ("s.mrxs", "s/Slidedat.ini", "s/Data0000.dat", "other.mrxs"):
        (tmp_path / name).write_bytes(b"")
    assert names(slide_parts(tmp_path / "s.mrxs")) == ["s.mrxs", "Data0000.dat", "Slidedat.ini"]


def test_a_hamamatsu_slide_names_its_files(tmp_path):
    text = "[Virtual Microscope Specimen]\nImageFile=a.jpg\r\nImageFile(0,1)= b.jpg\nMapFile=map.jpg\nPhysicalWidth=5\n"
    (tmp_path / "s.vms").write_text(text)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert names(slide_parts(tmp_path / "s.vms")) == ["s.vms", "a.jpg", "b.jpg"]
