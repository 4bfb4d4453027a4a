from types import SimpleNamespace

import numpy as np
import openslide
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.slides.tiling import TileGrid, read_tiles, slide_mpp, spread
from client.prepare.slides.tissue import TissueMask, find_tissue
from shared.errors import SlideError


def test_grid_reads_the_nearest_finer_level(slide_file):
    with openslide.OpenSlide(slide_file) as slide:  # levels of .5 and 2 um
        assert TileGrid.of(slide, 0.5, tile=64, mpp=0.5) == TileGrid(tile=64, level=0, read=64, side=64)
        assert TileGrid.of(slide, 0.5, tile=64, mpp=1.0) == TileGrid(tile=64, level=0, read=128, side=128)
        assert TileGrid.of(slide, 0.5, tile=64, mpp=2.0) == TileGrid(tile=64, level=1, read=64, side=256)
        assert TileGrid.of(slide, 0.5, tile=64, mpp=3.0) == TileGrid(tile=64, level=1, read=96, side=384)
        assert TileGrid.of(slide, 0.5, tile=100, mpp=0.48) == TileGrid(tile=100, level=0, read=96, side=96)


def test_a_slide_that_is_too_coarse_is_refused(slide_file):
    with (
        openslide.OpenSlide(slide_file) as slide,
        pytest.raises(SlideError, match=r"at most 0\.25 um per pixel, got 0\.5"),
    ):
        TileGrid.of(slide, 0.5, tile=64, mpp=0.25)


def test_tiles_lie_in_a_centred_grid_on_tissue(slide_file):
    with openslide.OpenSlide(slide_file) as slide:  # 512 px, tissue in the left half; 5 tiles of 100 px and 12 px over
        grid = TileGrid.of(slide, 0.5, tile=100, mpp=0.5)
        corners = grid.tissue_tiles(slide, find_tissue(slide, 0.5))
        assert corners.tolist() == [[x, y] for y in (6, 106, 206, 306, 406) for x in (6, 106, 206)]


def test_a_slide_smaller_than_a_tile_has_none(slide_file):
    with openslide.OpenSlide(slide_file) as slide:
        everything = TissueMask(np.ones((8, 8), dtype=bool), scale=64)
        assert TileGrid.of(slide, 0.5, tile=600, mpp=0.5).tissue_tiles(slide, everything).shape == (0, 2)


def test_pixels_are_those_of_openslide(slide_file):
    with openslide.OpenSlide(slide_file) as slide:
        grid = TileGrid.of(slide, 0.5, tile=64, mpp=0.5)
        (tiles,) = read_tiles(slide, grid, np.array([[0, 0], [224, 64]]), batch=16)
        expected = np.asarray(slide.read_region((224, 64), 0, (64, 64)).convert("RGB"))
        np.testing.assert_array_equal(tiles[1], expected)


def test_coarser_tiles_are_means_of_finer_pixels(slide_file):
    with openslide.OpenSlide(slide_file) as slide:
        grid = TileGrid.of(slide, 0.5, tile=32, mpp=1.0)
        batches = list(read_tiles(slide, grid, np.array([[0, 0], [64, 0], [128, 0]]), batch=2))
        assert [batch.shape for batch in batches] == [(2, 32, 32, 3), (1, 32, 32, 3)]
        fine = np.asarray(slide.read_region((64, 0), 0, (64, 64)).convert("RGB"), dtype=float)
        mean = fine.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
        np.testing.assert_allclose(batches[0][1], mean, atol=1)  # Pillow rounds rows, then columns


@pytest.mark.parametrize("written", ["0.2527", "0.5"])
def test_resolution_is_read_from_the_slide(written):
    assert slide_mpp(SimpleNamespace(properties={"openslide.mpp-x": written})) == float(written)


@pytest.mark.parametrize(
    ("properties", "got"),
    [
        ({}, r"got no property openslide\.mpp-x; export it again"),
        ({"openslide.mpp-x": "0"}, "got openslide.mpp-x = '0'"),
        ({"openslide.mpp-x": "-0.5"}, "got openslide.mpp-x = '-0.5'"),
        ({"openslide.mpp-x": "nan"}, "got openslide.mpp-x = 'nan'"),
        ({"openslide.mpp-x": "1e9"}, "got openslide.mpp-x = '1e9'"),
        ({"openslide.mpp-x": "20x"}, "got openslide.mpp-x = '20x'"),
    ],
)
def test_a_slide_without_resolution_is_refused(properties, got):
    with pytest.raises(SlideError, match=got):
        slide_mpp(SimpleNamespace(properties=properties))


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
