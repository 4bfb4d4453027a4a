import gzip

import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from client.prepare.slides.slide import open_slide
from shared.errors import SlideError
from tests.slide_files import (
    tissue_pixels,
    write_bigtiff,
    write_dicom_wsi,
    write_encrypted_pdf,
    write_encrypted_zip,
    write_pyramid,
)


def png(path):
    Image.fromarray(tissue_pixels(60, 80)).save(path, "PNG")


def jpeg(path):
    Image.fromarray(tissue_pixels(60, 80)).save(path, "JPEG")


def strips(path):
    tifffile.imwrite(path, tissue_pixels(60, 80), photometric="rgb", metadata=None)


def dicom(path):
    data = Dataset()
    data.PatientName = ""
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)


FILES = {
    "empty": (lambda path: path.write_bytes(b""), "got an empty file; copy it again"),
    "encrypted zip": (write_encrypted_zip, "got a password-protected zip archive; put the slide itself in its place"),
    "zip": (lambda path: path.write_bytes(b"PK\3\4\x14\0\0\0"), "got a zip archive"),
    "encrypted PDF": (write_encrypted_pdf, "got a password-protected PDF document"),
    "PDF": (lambda path: path.write_bytes(b"%PDF-1.7\n%%EOF"), "got a PDF document"),
    "OpenSSL": (lambda path: path.write_bytes(b"Salted__" + bytes(range(256))), "got a file encrypted with OpenSSL"),
    "PNG": (png, "got a PNG picture"),
    "JPEG": (jpeg, "got a JPEG picture"),
    "gzip": (lambda path: path.write_bytes(gzip.compress(b"slide")), "got a gzip archive"),
    "text": (lambda path: path.write_text("case_id\tslide_id\n"), "got a text file"),
    "noise": (
        lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
        "expected a slide that OpenSlide reads, got another format or half a file",
    ),
    "TIFF in strips": (strips, "expected a tiled TIFF, got half of one or one without tiles"),
    "TIFF of 8 bytes": (lambda path: path.write_bytes(b"II*\0\x10\0\0\0"), "got its first 8 bytes"),
    "TIFF of 5 bytes": (lambda path: path.write_bytes(b"MM\0*\0"), "got its first 5 bytes"),
    "DICOM radiograph": (dicom, "got a DICOM file that is no whole-slide image"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_slide_is_named_for_what_it_is(tmp_path, name):
    write, why = FILES[name]
    path = tmp_path / "S1.svs"
    write(path)
    with pytest.raises(SlideError, match=why) as refused:
        open_slide(path)
    assert "S1" not in str(refused.value)


def test_an_mrxs_without_its_folder(tmp_path):
    (tmp_path / "s.mrxs").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(SlideError, match="got no such folder; copy the folder as well"):
        open_slide(tmp_path / "s.mrxs")


def test_a_slide_under_another_suffix_is_a_slide(tmp_path):
    path = write_pyramid(tmp_path / "s.ndpi", tissue_pixels(300, 300))
    with open_slide(path) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"


def test_a_missing_file(tmp_path):
    with pytest.raises(SlideError, match="got no such file; copy it there, or take it out of slides.tsv"):
        open_slide(tmp_path / "s.svs")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "s.svs"
    path.write_bytes(b"x")

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(SlideError, match="got Permission denied; check the disk and its rights") as refused:
        open_slide(path)
    assert str(tmp_path) not in str(refused.value)


def test_openslides_own_words_name_no_file(tmp_path):
    path = tmp_path / "TCGA-XX-1234.tif"
    path.write_bytes(b"II*\0" + (8).to_bytes(4, "little") + b"\xff\xff" + bytes(100))
    with pytest.raises(SlideError, match="expected a ") as refused:
        open_slide(path)
    assert "TCGA" not in str(refused.value)


@pytest.mark.parametrize("kind", ["svs", "tif", "dcm"])
def test_a_slide_with_changed_bytes_is_read_or_refused(tmp_path, kind):
    pixels = tissue_pixels(150, 200)
    whole = {
        "svs": lambda: write_pyramid(tmp_path / "whole.svs", pixels, tile=64),
        "tif": lambda: write_bigtiff(tmp_path / "whole.tif", pixels, tile=64),
        "dcm": lambda: write_dicom_wsi(tmp_path / "whole", pixels, tile=64),
    }[kind]().read_bytes()
    (tmp_path / "changed").mkdir()
    path, rng = tmp_path / f"changed/s.{kind}", np.random.default_rng(0)
    outcomes = set()
    for _ in range(60):
        data = bytearray(whole)
        for position in rng.integers(0, 1400, rng.integers(1, 4)):
            data[position] = rng.choice([0, 1, 255])
        path.write_bytes(data)
        try:
            with open_slide(path) as slide:
                assert slide.read((0, 0), 0, (120, 120)).shape == (120, 120, 3)
            outcomes.add("read")
        except SlideError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}
