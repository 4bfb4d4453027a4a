import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.imaging.crop import TILE, inside, shrunk, square_tile, whole
from shared.errors import ImageError


def coordinates(height: int, width: int) -> np.ndarray:
    """A picture whose red is x + 1 and green is y + 1, so that a crop tells where it was cut and black is padding."""
    y, x = np.mgrid[:height, :width]
    return np.dstack([x + 1, y + 1, np.full_like(x, 9)]).astype(np.uint8)


def test_the_square_is_centred_on_the_box_with_a_margin():
    tile = square_tile(coordinates(200, 200), (90.0, 80.0, 110.0, 130.0))  # centre 100, 105; side 1.2 x 50 = 60
    assert tile.shape == (TILE, TILE, 3)
    assert tile[0, 0].tolist() == [71, 76, 9]  # from x 70, y 75
    assert tile[-1, -1].tolist() == [130, 135, 9]  # to x 130, y 135


def test_a_square_over_the_border_is_moved_inside():
    tile = square_tile(coordinates(200, 200), (0.0, 190.0, 50.0, 200.0))  # centre 25, 195; side 60
    assert tile[0, 0].tolist() == [1, 141, 9]
    assert tile[-1, -1].tolist() == [60, 200, 9]


def test_a_square_wider_than_the_picture_is_padded_evenly():
    tile = square_tile(coordinates(200, 60), (5.0, 20.0, 55.0, 120.0))  # side 120 on a width of 60
    edge = TILE // 4  # 30 px of padding left and right
    assert not tile[:, : edge - 2].any()
    assert not tile[:, -edge + 2 :].any()
    assert (tile[:, edge + 2 : -edge - 2, 2] == 9).all()
    assert tile[0, TILE // 2, 1] == 11  # from y 10


def test_a_whole_picture_is_padded_to_a_square_and_not_stretched():
    tile = square_tile(coordinates(50, 100), None)
    assert not tile[: TILE // 4 - 2].any()
    assert not tile[-TILE // 4 + 2 :].any()
    assert tile[TILE // 2, 0].tolist()[0] == 1
    assert tile[TILE // 2, -1].tolist()[0] == 100
    assert square_tile(coordinates(80, 80), None).min() >= 1  # a square needs no padding


def test_shrinking_takes_means_of_all_pixels():
    stripes = np.zeros((1000, 1000, 3), np.uint8)
    stripes[:, ::2] = 200
    middle = square_tile(stripes, None)[10:-10, 10:-10]
    assert abs(middle.astype(int) - 100).max() <= 12  # without antialiasing: 0 and 200


def test_pictures_are_shrunk_to_a_longest_side_and_never_enlarged():
    small, factor = shrunk(coordinates(100, 200), 50)
    assert (small.shape, factor) == ((25, 50, 3), 0.25)
    assert shrunk(coordinates(100, 200), 200)[1] == 1
    assert shrunk(np.zeros((1, 5000, 3), np.uint8), 50)[0].shape == (1, 50, 3)


def test_boxes_are_cut_at_the_border():
    pixels = np.zeros((100, 50, 3), np.uint8)
    assert whole(pixels) == (0, 0, 50, 100)
    assert inside((10, 20, 30, 40), pixels) == (10, 20, 30, 40)
    assert inside((30, 20, 60, 110), pixels) == (30, 20, 50, 100)


@pytest.mark.parametrize("box", [(50, 0, 60, 10), (40, 90, 70, 130), (0, 200, 10, 300)])
def test_a_box_of_another_picture_is_refused(box):
    with pytest.raises(ImageError, match="expected a box inside the image of 50 x 100 px, got .*; correct it"):
        inside(box, np.zeros((100, 50, 3), np.uint8))


@given(st.data())
def test_any_box_inside_any_picture_gives_a_tile(data):
    height, width = data.draw(st.integers(1, 80)), data.draw(st.integers(1, 80))
    x0, y0 = data.draw(st.floats(0, width - 0.01)), data.draw(st.floats(0, height - 0.01))
    x1, y1 = data.draw(st.floats(x0 + 0.005, width)), data.draw(st.floats(y0 + 0.005, height))
    pixels = np.full((height, width, 3), 77, np.uint8)
    tile = square_tile(pixels, inside((x0, y0, x1, y1), pixels))
    assert tile.shape == (TILE, TILE, 3)
    assert tile.max() <= 77
    assert tile[TILE // 2, TILE // 2].max() > 0  # there is always picture in the middle
