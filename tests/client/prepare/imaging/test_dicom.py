import logging
import re
import warnings

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from client.prepare.imaging.dicom import BURNED_IN, TAGS, read_dicom
from shared.errors import ImageError

RAMP = np.array([[0, 51, 102], [153, 204, 255]], dtype=np.uint8)
DEEP = np.array([[0, 1000], [2000, 4095]], dtype=np.uint16)


def levels(path) -> list:
    """The grey levels of a file whose three channels agree."""
    pixels, note = read_dicom(path)
    assert note == ""
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.repeat(pixels[..., :1], 3, axis=2))
    return pixels[..., 0].tolist()


def test_eight_bits_stay(write_dicom):
    assert levels(write_dicom(RAMP)) == RAMP.tolist()


def test_monochrome1_is_inverted(write_dicom):
    assert levels(write_dicom(RAMP, PhotometricInterpretation="MONOCHROME1")) == (255 - RAMP).tolist()


def test_fewer_bits_than_a_byte_fill_the_range(write_dicom):
    assert levels(write_dicom(np.array([[0, 5, 15]], np.uint8), BitsStored=4, HighBit=3)) == [[0, 85, 255]]


def test_a_window_decides_black_and_white(write_dicom):
    window = {"BitsStored": 12, "HighBit": 11, "WindowCenter": 1000.5, "WindowWidth": 2001}
    assert levels(write_dicom(DEEP, **window)) == [[0, 128], [255, 255]]  # (1000 - 1000) / 2000 + .5
    assert levels(write_dicom(DEEP, **window, PhotometricInterpretation="MONOCHROME1")) == [[255, 127], [0, 0]]


def test_the_first_of_several_windows_counts(write_dicom):
    several = {"WindowCenter": [1000.5, 5], "WindowWidth": [2001, 5]}
    assert levels(write_dicom(DEEP, **several)) == [[0, 128], [255, 255]]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [("LINEAR_EXACT", [[0, 128], [255, 255]]), ("SIGMOID", [[30, 128], [225, 254]])],  # 255 / (1 + e^2) = 30.4
)
def test_other_window_shapes(write_dicom, shape, expected):
    path = write_dicom(DEEP, WindowCenter=1000, WindowWidth=2000, VOILUTFunction=shape)
    assert levels(path) == expected


def test_values_are_rescaled_before_the_window(write_dicom):
    stored = np.array([[0, 500, 1000]], np.uint16)  # CT: -1000, -500 and 0 Hounsfield units
    path = write_dicom(
        stored,
        RescaleSlope=1,
        RescaleIntercept=-1000,
        WindowCenter=-500,
        WindowWidth=1000,
        VOILUTFunction="LINEAR_EXACT",
    )
    assert levels(path) == [[0, 128, 255]]


def test_without_window_deep_values_are_stretched_between_percentiles(write_dicom):
    stored = np.arange(1001, dtype=np.uint16).reshape(7, 143) * 4
    stored[0, 0] = 60000  # one bright marker must not darken the rest
    grey = np.array(levels(write_dicom(stored)))
    assert grey[0, 0] == grey[-1, -1] == 255
    assert grey[0, 1] == 0
    assert abs(int(grey[3, 71]) - 128) <= 1  # the middle


def test_padding_is_not_counted(write_dicom):
    stored = np.full((20, 20), 63000, np.uint16)
    stored[:10] = np.linspace(100, 200, 200).reshape(10, 20).round()
    counted = np.array(levels(write_dicom(stored, PixelPaddingValue=63000)))[:10]
    assert (counted.min(), counted.max()) == (0, 255)
    assert len(np.unique(counted)) > 50


def test_signed_values_and_one_value_alone(write_dicom):
    assert levels(write_dicom(np.array([[-100, 100]], np.int16))) == [[0, 255]]
    assert levels(write_dicom(np.full((2, 2), 7, np.uint16))) == [[0, 0], [0, 0]]


def test_a_voi_lut_is_followed(write_dicom):
    lut = Dataset()
    lut.LUTDescriptor = [4, 0, 8]
    lut.add_new("LUTData", "OW", np.array([0, 255, 10, 20], "<u2").tobytes())
    path = write_dicom(np.array([[0, 1, 2, 3]], np.uint8), VOILUTSequence=Sequence([lut]))
    assert levels(path) == [[0, 255, 10, 20]]


def test_colours(write_dicom):
    colours = np.array([[[255, 0, 0], [10, 20, 30]]], np.uint8)
    np.testing.assert_array_equal(read_dicom(write_dicom(colours))[0], colours)
    deep = (colours.astype(np.uint16) * 257).astype("<u2")
    np.testing.assert_array_equal(read_dicom(write_dicom(deep))[0], colours)
    red = np.array([[[76, 85, 255]]], np.uint8)
    read, _ = read_dicom(write_dicom(red, PhotometricInterpretation="YBR_FULL"))
    np.testing.assert_allclose(read, [[[255, 0, 0]]], atol=1)


def test_a_palette_becomes_colours(write_dicom):
    path = write_dicom(
        np.array([[0, 1]], np.uint8),
        PhotometricInterpretation="PALETTE COLOR",
        **{f"{c}PaletteColorLookupTableDescriptor": [2, 0, 16] for c in ("Red", "Green", "Blue")},
        RedPaletteColorLookupTableData=np.array([0, 65535], "<u2").tobytes(),
        GreenPaletteColorLookupTableData=np.array([0, 257 * 16], "<u2").tobytes(),
        BluePaletteColorLookupTableData=np.array([0, 0], "<u2").tobytes(),
    )
    assert read_dicom(path)[0].tolist() == [[[0, 0, 0], [255, 16, 0]]]


GREY = np.random.default_rng(0).integers(0, 4096, (40, 30)).astype(np.uint16)


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (uid.JPEGLosslessSV1, imagecodecs.ljpeg_encode),
        (uid.JPEGLSLossless, imagecodecs.jpegls_encode),
        (uid.JPEG2000Lossless, lambda pixels: imagecodecs.jpeg2k_encode(pixels, reversible=True, codecformat="j2k")),
    ],
)
def test_lossless_compression_changes_nothing(write_dicom, syntax, encode):
    plain = read_dicom(write_dicom(GREY, "plain.dcm"))[0]
    path = write_dicom(GREY, syntax=syntax, frame=bytes(encode(GREY)))
    np.testing.assert_array_equal(read_dicom(path)[0], plain)


def test_a_jpeg_stream_is_read(write_dicom):
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    path = write_dicom(smooth, syntax=uid.JPEGBaseline8Bit, frame=imagecodecs.jpeg8_encode(smooth, level=95))
    np.testing.assert_allclose(read_dicom(path)[0][..., 0], smooth, atol=3)


def test_a_jpeg_stream_of_12_bits_is_read(write_dicom):
    smooth = np.tile(np.linspace(0, 4095, 64).astype(np.uint16), (64, 1))
    frame = imagecodecs.jpeg8_encode(smooth, level=95, bitspersample=12)
    stored = {"BitsStored": 12, "HighBit": 11, "WindowCenter": 2048, "WindowWidth": 4096}
    path = write_dicom(smooth, syntax=uid.JPEGExtended12Bit, frame=frame, **stored)
    np.testing.assert_allclose(read_dicom(path)[0][..., 0], smooth / 4095 * 255, atol=2)


def test_burned_in_text_is_remarked(write_dicom):
    assert read_dicom(write_dicom(RAMP, BurnedInAnnotation="YES"))[1] == BURNED_IN
    assert read_dicom(write_dicom(RAMP, BurnedInAnnotation="NO"))[1] == ""


def test_nothing_that_identifies_is_read(write_dicom):
    data = pydicom.dcmread(write_dicom(RAMP), specific_tags=TAGS)
    assert not {"PatientName", "PatientID"} & set(data.dir())
    assert not [name for name in TAGS if name.startswith(("Patient", "Study", "Series", "Institution"))]
    for name in TAGS:
        assert pydicom.datadict.tag_for_keyword(name), name


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"NumberOfFrames": 2}, "expected one frame, got 2; export"),
        ({"NumberOfFrames": 0}, "expected one frame, got 0; export"),
        ({"PixelData": None}, r"got a DICOM object without pixels \(Computed Radiography Image Storage\); list"),
        ({"Rows": 0}, "expected 1 to 100000000 pixels, got 3 x 0; export"),
        ({"Rows": None}, "expected 1 to 100000000 pixels, got 3 x 0; export"),
        ({"Rows": 60000, "Columns": 60000}, "got 60000 x 60000; export"),
        ({"Rows": 200}, r"expected whole pixel data, got a damaged image \(ValueError\); copy"),
        ({"BitsStored": None}, "expected whole pixel data, got a damaged image .*; copy"),
        ({"PhotometricInterpretation": "HSV"}, "PALETTE COLOR.* got HSV of 1 sample; export"),
        ({"PhotometricInterpretation": None}, "got nothing of 1 sample; export"),
        ({"SamplesPerPixel": 3}, "got MONOCHROME2 of 3 samples; export"),
        ({"WindowCenter": 5, "WindowWidth": 10, "VOILUTFunction": "CUBIC"}, "LINEAR_EXACT, SIGMOID, got 'CUBIC'"),
    ],
)
def test_what_is_no_single_picture_is_refused(write_dicom, tags, message):
    with pytest.raises(ImageError, match=message):
        read_dicom(write_dicom(RAMP, **tags))


@pytest.mark.parametrize("window", [(5, 0), (5, -3)])
def test_an_impossible_window_is_not_used(write_dicom, window):
    assert levels(write_dicom(RAMP, WindowCenter=window[0], WindowWidth=window[1])) == RAMP.tolist()


def test_an_unknown_compression_is_refused_by_name(write_dicom):
    path = write_dicom(RAMP, syntax=uid.MPEG2MPML, frame=b"abcd")
    with pytest.raises(ImageError, match="expected pixels that can be decoded here, got MPEG2 .*; export the image"):
        read_dicom(path)


def test_a_damaged_stream_is_refused(write_dicom):
    frame = bytes(imagecodecs.ljpeg_encode(GREY))
    with pytest.raises(ImageError, match="expected whole pixel data, got a damaged image"):
        read_dicom(write_dicom(GREY, syntax=uid.JPEGLosslessSV1, frame=b"\0" * len(frame)))


@pytest.mark.parametrize("part", [0.05, 0.3, 0.5, 0.8, 0.99])
def test_a_truncated_file_is_refused(write_dicom, tmp_path, part):
    content = write_dicom(GREY).read_bytes()
    (tmp_path / "cut.dcm").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ImageError, match="; (copy|list|export)"):
        read_dicom(tmp_path / "cut.dcm")


def test_another_format_is_refused(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"\x89PNG and more" * 30)
    with pytest.raises(ImageError, match="expected a DICOM file with its preamble, got another format; export"):
        read_dicom(tmp_path / "a.dcm")


def test_oddities_raise_no_warning_and_log_nothing(write_dicom, caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of writing
        odd = {"SOPInstanceUID": "Jane.Doe", "WindowCenter": "1.00000000000000000000000001", "WindowWidth": 1}
        path = write_dicom(RAMP[:1], **odd)  # 3 bytes of pixels: an odd length
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        assert levels(path) == [[0, 255, 255]]
    assert not caplog.records


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_picture_or_an_image_error(write_dicom, data):
    content = bytearray(write_dicom(RAMP, WindowCenter=5, WindowWidth=100, RescaleSlope=2).read_bytes())
    changes = st.tuples(st.integers(132, len(content) - 1), st.integers(0, 255))
    for place, value in data.draw(st.lists(changes, min_size=1, max_size=6)):
        content[place] = value
    path = write_dicom(RAMP, "changed.dcm")
    path.write_bytes(content)
    fault = ""
    try:
        pixels, _ = read_dicom(path)
    except ImageError as exc:
        fault = str(exc)
    assert re.search(r"expected .*, got .*; (copy|export|list) ", fault) or (fault == "" and pixels.shape[2] == 3)
