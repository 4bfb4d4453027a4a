import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import pytest

from client.prepare.slides import jpeg_tiles
from client.prepare.slides.jpeg_tiles import JpegTiles, TileCache
from client.prepare.slides.tiff_levels import jpeg_levels
from tests.slide_files import tissue_pixels, write_pyramid


def tile(value):
    return np.full((2, 2, 3), value, dtype=np.uint8)


def test_the_least_recently_used_tile_is_dropped():
    cache, decoded = TileCache(2), []

    def get(number):
        cache.get((0, 0, number), lambda: decoded.append(number) or tile(number))

    for number in (1, 2, 1, 3, 1, 2, 3):
        get(number)
    assert decoded == [1, 2, 3, 2, 3]  # 3 drops 2 and keeps 1; 2 then drops 3, 3 drops 1


def test_threads_that_want_one_tile_decode_it_once():
    cache, started, decoded = TileCache(4), Barrier(4), []
    everyone_waits = Event()

    def decode():
        decoded.append(1)
        everyone_waits.wait(0.2)
        return tile(7)

    def get():
        started.wait()
        return cache.get((0, 0, 0), decode)

    with ThreadPoolExecutor(4) as pool:
        tiles = [future.result() for future in [pool.submit(get) for _ in range(4)]]
    assert decoded == [1]
    assert all(one is tiles[0] for one in tiles)


def test_what_failed_is_tried_again():
    cache = TileCache(4)

    def fail():
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        cache.get((0, 0, 0), fail)
    np.testing.assert_array_equal(cache.get((0, 0, 0), lambda: tile(1)), tile(1))


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return write_pyramid(tmp_path_factory.mktemp("jpeg") / "s.svs", tissue_pixels(960, 960), tile=240, downsamples=(1,))


def test_requests_in_row_order_decode_every_tile_once(slide, monkeypatch):
    decoded = []
    decode = jpeg_tiles._decode
    monkeypatch.setattr(jpeg_tiles, "_decode", lambda stream, page: decoded.append(1) or decode(stream, page))
    tiles = JpegTiles(slide, jpeg_levels(slide, "aperio", [(960, 960)]))
    for y in range(0, 900, 224):
        for x in range(0, 900, 224):
            assert tiles.read(0, (x, y), (224, 224)).shape == (224, 224, 3)
    assert len(decoded) == 16
    tiles.close()


def test_memory_is_bounded(slide, monkeypatch):
    monkeypatch.setattr(jpeg_tiles, "CACHE_BYTES", 5 * 240 * 240 * 3)
    tiles = JpegTiles(slide, jpeg_levels(slide, "aperio", [(960, 960)]))
    tiles.read(0, (0, 0), (960, 960))
    assert len(tiles._cache._tiles) == 5
    tiles.close()


def test_another_level_is_left_to_openslide(slide):
    tiles = JpegTiles(slide, jpeg_levels(slide, "aperio", [(960, 960)]))
    assert tiles.read(1, (0, 0), (10, 10)) is None
    tiles.close()


def test_a_read_error_of_the_disk_is_passed_on(slide):
    tiles = JpegTiles(slide, jpeg_levels(slide, "aperio", [(960, 960)]))
    tiles.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        tiles.read(0, (0, 0), (10, 10))
    tiles._file = os.open(slide, os.O_RDONLY)
    assert tiles.read(0, (0, 0), (10, 10)) is not None
    tiles.close()
