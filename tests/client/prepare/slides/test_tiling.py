from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from client.prepare.slides import tiling
from client.prepare.slides.slide import open_slide
from client.prepare.slides.tiling import TileGrid, read_tile
from client.prepare.slides.tissue import TissueMask
from shared.cohort.spread import spread
from shared.errors import SlideError
from tests import slide_files
from tests.slide_files import tissue_pixels, write_dicom_wsi, write_pyramid, write_single_level

REAL = Path("../shared/data/slides/CMU-1-Small-Region.svs")


@pytest.fixture
def slide(slide_file):
    with open_slide(slide_file) as opened:  # levels of .5 and 2 um
        yield opened


@pytest.fixture(scope="module")
def smooth(tmp_path_factory):
    """A lossless slide of one level whose red grows by a fifth a pixel from left to right, and green from the top."""
    y, x = np.mgrid[:1000, :1200].astype(float)
    pixels = np.stack([x / 5, y / 5, np.zeros_like(x)], axis=2).round().astype(np.uint8)
    return write_single_level(tmp_path_factory.mktemp("smooth") / "s.tif", pixels, compression="lzw", mpp=0.5)


def everything(slide):
    width, height = slide.dimensions
    return TissueMask(np.ones((-(-height // 8), -(-width // 8)), dtype=bool), scale=8)


def test_grid_reads_the_nearest_finer_level(slide):
    def grid(tile, mpp):
        return TileGrid.of(slide, 0.5, tile=tile, mpp=mpp)

    assert grid(64, 0.5) == TileGrid(tile=64, level=0, factor=1, side=64)
    assert grid(64, 1.0) == TileGrid(tile=64, level=0, factor=2, side=128)
    assert grid(64, 1.9) == TileGrid(tile=64, level=0, factor=pytest.approx(3.8), side=pytest.approx(243.2))
    assert grid(64, 2.0) == TileGrid(tile=64, level=1, factor=1, side=256)
    assert grid(64, 3.0) == TileGrid(tile=64, level=1, factor=1.5, side=384)
    assert grid(100, 0.48) == TileGrid(tile=100, level=0, factor=pytest.approx(0.96), side=pytest.approx(96))


def test_a_resolution_within_a_scanners_accuracy_gives_the_slides_own_pixels(slide):
    assert TileGrid.of(slide, 0.499, tile=224, mpp=0.5) == TileGrid(tile=224, level=0, factor=1, side=224)
    assert TileGrid.of(slide, 0.252, tile=224, mpp=0.5) == TileGrid(tile=224, level=0, factor=2, side=448)
    assert TileGrid.of(slide, 0.504, tile=224, mpp=2.0) == TileGrid(tile=224, level=1, factor=1, side=896)
    assert not TileGrid.of(slide, 0.51, tile=224, mpp=0.5).factor.is_integer()


def test_a_slide_that_is_too_coarse_is_refused(slide):
    assert TileGrid.of(slide, 0.5, tile=64, mpp=0.46).factor == pytest.approx(0.92)
    with pytest.raises(SlideError, match=r"at most 0\.25 um per pixel, got 0\.5; scan it at a higher power"):
        TileGrid.of(slide, 0.5, tile=64, mpp=0.25)


def test_tiles_lie_in_a_centred_grid_on_tissue(slide):
    left = TissueMask(np.repeat([[True] * 16 + [False] * 16], 32, axis=0), scale=16)
    corners = TileGrid.of(slide, 0.5, tile=100, mpp=0.5).tissue_tiles(slide, left)  # 5 tiles of 100 px, 12 px over
    assert corners.tolist() == [[x, y] for y in (6, 106, 206, 306, 406) for x in (6, 106, 206)]


def test_tiles_of_a_coarser_level_begin_on_its_pixels(slide):
    corners = TileGrid.of(slide, 0.5, tile=25, mpp=2.0).tissue_tiles(
        slide, everything(slide)
    )  # 25 px are 100 of level 0
    assert sorted({x for x, _ in corners.tolist()}) == [4, 104, 204, 304, 404]


def test_a_slide_smaller_than_a_tile_has_none(slide):
    assert TileGrid.of(slide, 0.5, tile=600, mpp=0.5).tissue_tiles(slide, everything(slide)).shape == (0, 2)


@settings(max_examples=60)
@given(extent=st.integers(100, 200_000), side=st.floats(32, 3000), downsample=st.sampled_from([1.0, 4.0, 4.0003, 16.1]))
def test_rounding_does_not_add_up(extent, side, downsample):
    starts = tiling._starts(extent, side, downsample)
    assert len(starts) == int(extent / side + 1e-6)
    exact = (extent - len(starts) * side) / 2 + np.arange(len(starts)) * side
    assert (abs(starts - exact) <= 1.5 * downsample + 0.5).all()
    assert (starts >= 0).all()
    assert (starts + side <= extent + 0.5 + 1e-6).all()


def test_pixels_are_those_of_the_slide_where_nothing_is_resampled(slide):
    grid = TileGrid.of(slide, 0.5, tile=64, mpp=0.5)
    np.testing.assert_array_equal(read_tile(slide, grid, (224, 64)), slide.read_reference((224, 64), 0, (64, 64)))
    grid = TileGrid.of(slide, 0.5, tile=32, mpp=2.0)
    np.testing.assert_array_equal(read_tile(slide, grid, (224, 64)), slide.read_reference((224, 64), 1, (32, 32)))


def test_coarser_tiles_are_means_of_finer_pixels(slide):
    fine = slide.read((64, 7), 0, (96, 96)).astype(float)
    for factor in (2, 3):
        tile = read_tile(slide, TileGrid.of(slide, 0.5, tile=96 // factor, mpp=0.5 * factor), (64, 7))
        mean = fine.reshape(96 // factor, factor, 96 // factor, factor, 3).mean(axis=(1, 3))
        np.testing.assert_allclose(tile, mean, atol=0.56)  # Pillow rounds ninths from .56 up


@pytest.mark.parametrize("mpp", [0.46, 0.6, 0.7311, 1.3, 2.7, 5.3])
@pytest.mark.parametrize("corner", [(0, 0), (137, 211), (500, 333)])
def test_a_tile_shows_the_place_and_scale_that_were_asked_for(smooth, mpp, corner):
    with open_slide(smooth) as slide:
        grid = TileGrid.of(slide, 0.5, tile=40, mpp=mpp)
        tile = read_tile(slide, grid, corner).astype(float)
    centres = (np.arange(40) + 0.5) * mpp / 0.5 - 0.5  # of the tile's pixels, in px of the slide from its corner
    inner = slice(2, -2) if corner == (0, 0) else slice(None)
    for axis, values in ((0, tile[..., 0].mean(0)), (1, tile[..., 1].mean(1))):
        np.testing.assert_allclose(values[inner], (corner[axis] + centres[inner]) / 5, atol=0.6)
        assert np.mean(values[inner] - (corner[axis] + centres[inner]) / 5) == pytest.approx(0, abs=0.1)


def test_neighbours_join_without_gap_or_overlap(smooth):
    """A window of 1,100 px cut into tiles is what it is in one piece, but for rounding."""
    with open_slide(smooth) as slide:
        whole = read_tile(slide, TileGrid(tile=300, level=0, factor=3.3, side=990), (5, 5))
        parts = [
            [read_tile(slide, TileGrid(tile=100, level=0, factor=3.3, side=330), (x, y)) for x in (5, 335, 665)]
            for y in (5, 335, 665)
        ]
    np.testing.assert_allclose(
        np.concatenate([np.concatenate(row, axis=1) for row in parts]).astype(int), whole, atol=1
    )


@pytest.mark.parametrize("mpp", [8.0, 9.3])
def test_a_very_coarse_tile_of_a_single_level_is_read_in_blocks(smooth, monkeypatch, mpp):
    with open_slide(smooth) as slide:
        grid = TileGrid.of(slide, 0.5, tile=32, mpp=mpp)
        at_once = read_tile(slide, grid, (100, 50)).astype(int)
        read, sides = slide.read, []
        monkeypatch.setattr(slide, "read", lambda at, level, size: sides.extend(size) or read(at, level, size))
        monkeypatch.setattr(tiling, "BLOCK", 100)
        np.testing.assert_allclose(read_tile(slide, grid, (100, 50)), at_once, atol=1)
    assert max(sides) <= 100


def test_the_resampled_tile_is_that_of_the_whole_slide(tmp_path):
    path = write_pyramid(tmp_path / "s.svs", tissue_pixels(600, 700), downsamples=(1,))
    with open_slide(path) as slide:
        grid = TileGrid.of(slide, 0.5, tile=224, mpp=0.7)
        picture = Image.fromarray(slide.read((0, 0), 0, slide.dimensions))
        for x, y in ((0, 0), (100, 121), (386, 286)):
            box = (x, y, x + grid.side, y + grid.side)
            expected = np.asarray(picture.resize((224, 224), Image.Resampling.BICUBIC, box=box))
            np.testing.assert_allclose(read_tile(slide, grid, (x, y)).astype(int), expected, atol=1)


@pytest.mark.parametrize("mpp", [0.5, 0.8, 2.0])
def test_every_kind_of_slide_gives_like_tiles(tmp_path, mpp):
    pixels = tissue_pixels(768, 1024)
    paths = [
        write_pyramid(tmp_path / "a.svs", pixels),
        slide_files.write_bigtiff(tmp_path / "b.tif", pixels, tile=128),
        write_single_level(tmp_path / "l.tif", pixels),
        write_dicom_wsi(tmp_path / "dicom", pixels).parent,
    ]
    tiles = []
    for path in paths:
        with open_slide(path) as slide:
            grid = TileGrid.of(slide, 0.5, tile=64, mpp=mpp)
            assert grid.side == pytest.approx(64 * mpp / 0.5)
            tiles.append(read_tile(slide, grid, (400, 256)).astype(float))
    for tile in tiles[1:]:
        assert abs(tile - tiles[0]).mean() < 4


@pytest.mark.skipif(not REAL.is_file(), reason="the shared test data is not there")
def test_a_real_slide_at_its_own_resolution():
    with open_slide(REAL) as slide:
        grid = TileGrid.of(slide, 0.499, tile=224, mpp=0.5)
        corners = grid.tissue_tiles(slide, everything(slide))
        assert len(corners) == 9 * 13
        for corner in corners[::29]:
            x, y = corner.tolist()
            np.testing.assert_array_equal(read_tile(slide, grid, (x, y)), slide.read_reference((x, y), 0, (224, 224)))


def test_spread_is_even():
    assert spread(3, 10).tolist() == [0, 1, 2]
    assert spread(10, 2).tolist() == [2, 7]
    assert spread(0, 5).tolist() == []


@given(st.integers(0, 500), st.integers(1, 60))
def test_spread_chooses_distinct_positions_in_order(count, most):
    chosen = spread(count, most)
    assert len(chosen) == min(count, most)
    assert (np.diff(chosen) > 0).all()
    assert ((chosen >= 0) & (chosen < max(count, 1))).all()
