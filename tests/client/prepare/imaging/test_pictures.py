from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from client.prepare.imaging.dicom import BURNED_IN
from client.prepare.imaging.pictures import read_picture
from shared.errors import ImageError

COLOURS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[1, 2, 3], [40, 50, 60], [9, 9, 9]]], np.uint8)


def test_png_is_read_as_it_is(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels, COLOURS)
    assert (picture.size, picture.note) == ((3, 2), "")


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_other_kinds_of_png_become_rgb(tmp_path, mode):
    image = Image.fromarray(np.array([[0, 255]], np.uint8)).convert(mode)
    image.save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").pixels.tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_transparent_pixels_are_black(tmp_path):
    pixels = np.array([[[200, 200, 200, 255], [200, 200, 200, 0]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").pixels.tolist() == [[[200, 200, 200], [0, 0, 0]]]


def test_sixteen_bits_are_stretched(tmp_path):
    Image.fromarray(np.array([[100, 600, 1100]], np.uint16)).save(tmp_path / "a.png")
    grey = read_picture(tmp_path / "a.png").pixels
    np.testing.assert_array_equal(grey[0, :, 0], [0, 128, 255])
    np.testing.assert_array_equal(grey[..., 0], grey[..., 2])


def test_a_jpeg_is_turned_as_its_camera_was_held(tmp_path):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, 16:] = 255  # bright on the right
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    turned = read_picture(tmp_path / "a.jpg").pixels
    assert turned.shape == (32, 16, 3)
    assert turned[:14].max() < 20
    assert turned[18:].min() > 235  # what was right is below


def test_contents_decide_and_not_the_name(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "a.jpg", format="png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.jpg").pixels, COLOURS)


def test_dicom_is_read_with_its_remark_whatever_its_name(write_dicom):
    path = write_dicom(COLOURS, "a.png", BurnedInAnnotation="YES")
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, COLOURS)
    assert picture.note == BURNED_IN


def png(pixels: np.ndarray = COLOURS) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", b"", "expected an image, got an empty file; copy it again"),
        ("a.dcm", b"", "expected an image, got an empty file; copy it again"),
        ("a.png", b"case_id,image_id", "expected a PNG, JPEG or DICOM file, got another format; export it again"),
        ("a.jpg", b"GIF89a" + bytes(200), "expected a PNG, JPEG or DICOM file, got another format"),
        ("a.png", png()[:-30], "expected a whole image, got a damaged or truncated one; copy it again"),
        ("a.png", png()[:20], "expected a whole image, got a damaged or truncated one"),
        ("a.png", png().replace(b"IDAT", b"IDAX"), "expected a whole image, got a damaged or truncated one"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=message):
        read_picture(tmp_path / name)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_jpeg_is_refused(tmp_path, part):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ImageError, match="; (copy|export) it again"):
        read_picture(tmp_path / "a.jpg")


def test_an_animation_is_refused(tmp_path):
    frames = [Image.fromarray(np.full((4, 4, 3), level, np.uint8)) for level in (0, 99)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="expected one picture, got 2 frames; export the one"):
        read_picture(tmp_path / "a.png")


def test_an_enormous_picture_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(png(np.zeros((30, 30), np.uint8)))
    for limit in (800, 400):  # Pillow warns above its limit, and raises above twice of it
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ImageError, match=f"expected at most {limit} pixels, got more; export it smaller"):
            read_picture(tmp_path / "a.png")


def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ImageError, match="expected a readable file, got Is a directory; check"):
        read_picture(tmp_path / "a.png")
