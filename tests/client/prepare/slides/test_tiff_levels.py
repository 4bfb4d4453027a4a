import struct

import numpy as np
import openslide
import pytest
import tifffile

from client.prepare.slides.slide import open_slide
from client.prepare.slides.tiff_levels import jpeg_levels
from shared.errors import SlideError
from tests.slide_files import tissue_pixels, write_generic_tiff, write_huge_slide, write_pyramid, write_single_level

PIXELS = tissue_pixels(300, 400)


def test_levels_are_found_with_their_tiles(tmp_path):
    path = write_pyramid(tmp_path / "s.svs", PIXELS, tile=128, downsamples=(1, 2), colours="rgb")
    levels = jpeg_levels(path, "aperio", [(400, 300), (200, 150)])
    assert {number: (level.size, level.tile, level.offsets.shape) for number, level in levels.items()} == {
        0: ((400, 300), (128, 128), (3, 4)),
        1: ((200, 150), (128, 128), (2, 2)),
    }
    assert levels[0].colours == "RGB"
    assert (levels[0].counts > 0).all()


def test_only_jpeg_tiles_of_plain_pages_are_found(tmp_path):
    path = write_single_level(tmp_path / "lossless.tif", PIXELS, compression="lzw")
    assert jpeg_levels(path, "generic-tiff", [(400, 300)]) == {}
    path = write_single_level(tmp_path / "large.tif", PIXELS, tile=4096)
    assert jpeg_levels(path, "generic-tiff", [(400, 300)]) == {}
    path = write_single_level(tmp_path / "plain.tif", PIXELS)
    assert jpeg_levels(path, "philips", [(400, 300)]) == {}
    assert jpeg_levels(path, "generic-tiff", [(400, 301)]) == {}
    path = write_generic_tiff(tmp_path / "twice.tif", PIXELS, downsamples=(1, 1))
    assert jpeg_levels(path, "generic-tiff", [(400, 300)]) == {}


def test_a_file_that_tifffile_does_not_understand_is_left_to_openslide(tmp_path):
    path = tmp_path / "s.tif"
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + b"\xff\xff" + bytes(100))
    assert jpeg_levels(path, "generic-tiff", [(4, 3)]) == {}


def test_a_file_that_ends_before_its_tiles_is_refused(tmp_path):
    path = write_single_level(tmp_path / "s.tif", PIXELS)
    length = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        SlideError, match=f"of at least {length} bytes, got the first {length - 100} of them; copy it again"
    ):
        jpeg_levels(path, "generic-tiff", [(400, 300)])


@pytest.mark.parametrize("maker", ["aperio", "generic"])
def test_a_tile_that_was_never_scanned_is_what_openslide_makes_of_it(tmp_path, maker):
    path = write_pyramid(tmp_path / "s.svs", tissue_pixels(512, 512), downsamples=(1,), maker=maker)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        page = tiff.pages[0]
        offsets, counts = page.dataoffsets, page.databytecounts
        page.tags["TileOffsets"].overwrite([0, *offsets[1:]])
        page.tags["TileByteCounts"].overwrite([0, *counts[1:]])
    with open_slide(path) as slide, openslide.OpenSlide(path) as reference:
        assert slide.direct_levels == (0,)
        pixels, region = slide.read((0, 0), 0, (512, 512)), np.asarray(reference.read_region((0, 0), 0, (512, 512)))
        assert (pixels[:256, :256] == 255).all()
        recorded = region[..., 3] == 255
        np.testing.assert_array_equal(pixels[recorded], region[recorded][:, :3])
        assert recorded.mean() == 0.75


def test_a_huge_slide_is_a_small_file_and_opens(tmp_path):
    path = write_huge_slide(tmp_path / "huge.svs")
    assert path.stat().st_size < 3e6
    with open_slide(path) as slide:
        assert slide.dimensions == (100_000, 80_000)
        assert slide.direct_levels == (0, 1, 2)
        middle = slide.read((50_000, 40_000), 0, (224, 224))
        assert middle.std() > 10
        np.testing.assert_array_equal(middle, slide.read_reference((50_000, 40_000), 0, (224, 224)))
        assert (slide.read((99_000, 79_000), 0, (224, 224)) == 243).all()
