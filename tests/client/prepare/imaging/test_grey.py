import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.prepare.imaging.grey import full_range, windowed
from shared.errors import ImageError


def test_a_linear_window_as_the_standard_counts_it():
    values = np.array([0.0, 1.0, 2.0, 3.0, 4.0])  # width 4 at centre 2 is 0 to 3
    assert windowed(values, 2, 4, "LINEAR").tolist() == [0, 85, 170, 255, 255]
    assert windowed(values, 2.5, 1, "LINEAR").tolist() == [0, 0, 0, 255, 255]  # a threshold at 2
    assert windowed(values, 2, 4, "LINEAR_EXACT").tolist() == [0, 64, 128, 191, 255]


def test_an_unknown_shape_is_refused():
    with pytest.raises(ImageError, match="among LINEAR, LINEAR_EXACT, SIGMOID, got 'LOG'; export"):
        windowed(np.zeros(1), 0, 1, "LOG")


def test_full_range_counts_what_it_is_told_to():
    values = np.array([[0.0, 10.0], [20.0, 1000.0]])
    assert full_range(values, values < 100).tolist() == [[0, 128], [255, 255]]
    assert full_range(values, values < 0).tolist() == full_range(values).tolist()  # none counted: all are
    assert full_range(np.full((2, 2), -7.0)).tolist() == [[0, 0], [0, 0]]


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20),
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e6),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_larger_values_are_never_darker(values, centre, width, shape):
    ordered = np.sort(np.array(values))
    assert (np.diff(windowed(ordered, centre, width, shape).astype(int)) >= 0).all()
    assert (np.diff(full_range(ordered[np.newaxis])[0].astype(int)) >= 0).all()
