from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from client.prepare.slides.quality import inspect
from client.prepare.slides.slide import open_slide
from client.prepare.slides.thumbnail import EXCLUDED, OUTLINE, TILES, draw_thumbnail
from tests.slide_files import write_pyramid

CORNERS = np.array([[200, 1400], [424, 1400]])


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory) -> Path:
    """2048 x 1900 px: a pale section in the middle, a green stroke over its upper third."""
    pixels = np.full((1900, 2048, 3), 245, np.uint8)
    pixels[300:1800, 150:1900] = (225, 170, 210)
    pixels[500:800, 300:1700] = (20, 140, 70)
    return write_pyramid(tmp_path_factory.mktemp("thumbnail") / "s.svs", pixels, downsamples=(1, 4))


def drawn(path: Path, quality: bool = True, corners=CORNERS) -> bytes:
    with open_slide(path) as slide:
        return draw_thumbnail(slide, inspect(slide, 0.5, quality), corners, 224.0)


def pixels_of(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(jpeg))).astype(int)


def near(pixel, colour, off: int = 70) -> bool:
    return bool(np.abs(pixel - np.array(colour)).sum() < off)


def test_tissue_ink_and_tiles_are_marked(slide_path):
    picture = pixels_of(drawn(slide_path))
    assert picture.shape == (475, 512, 3)
    assert near(picture[462, 300], (245, 245, 245))  # glass
    assert near(picture[240, 256], (225, 170, 210))  # tissue
    column = picture[60:90, 256]
    assert min(np.abs(pixel - np.array(OUTLINE)).sum() for pixel in column) < 90  # its upper edge, at row 75
    tinted = (np.array((20, 140, 70)) + np.array(EXCLUDED)) / 2
    assert near(picture[160, 256], tinted)
    assert min(np.abs(pixel - np.array(TILES)).sum() for pixel in picture[376, 45:55]) < 120  # the left tile's side
    assert near(picture[376, 78], (225, 170, 210))  # its inside


def test_without_quality_control_nothing_is_tinted(slide_path):
    assert near(pixels_of(drawn(slide_path, quality=False))[160, 256], (20, 140, 70))


def test_the_same_slide_gives_the_same_bytes_without_anything_else_in_them(slide_path):
    jpeg = drawn(slide_path)
    assert jpeg == drawn(slide_path)
    assert jpeg != drawn(slide_path, corners=CORNERS[:1])
    assert set(Image.open(BytesIO(jpeg)).info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert len(jpeg) < 60_000


def test_a_slide_without_tiles_has_a_picture(slide_path):
    assert pixels_of(drawn(slide_path, corners=np.zeros((0, 2), np.int64))).shape == (475, 512, 3)
