import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.blood.distance import MAX_DISTANCE, interval_distance


@pytest.mark.parametrize(
    ("value", "expected"),
    [(30.0, -0.25), (40.0, 0.0), (60.0, 0.0), (80.0, 0.0), (120.0, 1.0), (1e9, MAX_DISTANCE), (-1e9, -MAX_DISTANCE)],
)
def test_distance_in_interval_widths(value, expected):
    assert interval_distance(value, 40.0, 80.0) == expected


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_distance_has_the_side_of_the_value(value, low, width):
    high = low + width
    distance = interval_distance(value, low, high)
    assert (distance > 0) == (value > high)
    assert (distance < 0) == (value < low)
    assert abs(distance) <= MAX_DISTANCE
