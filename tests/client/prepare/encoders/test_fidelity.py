import numpy as np
import pytest

from client.prepare.encoders.fidelity import compare_features, is_faithful


def features(*rows):
    return np.array(rows, dtype=np.float32)


def test_cosine_is_the_worst_tiles_and_distance_the_median_tiles():
    fp32 = features([3, 4], [3, 4], [1, 0])
    bf16 = features([3, 4], [6, 8], [0.6, 0.8])  # the same; twice as long; turned: cosine .6, distance sqrt(.16 + .64)
    found = compare_features(bf16, fp32)
    assert found["bf16_min_cosine"] == pytest.approx(0.6)
    assert found["bf16_median_relative_l2"] == pytest.approx(np.sqrt(0.8))


def test_features_of_zeros_are_equal_only_to_themselves():
    zeros = features([0, 0])
    assert compare_features(zeros, zeros) == {"bf16_min_cosine": 1.0, "bf16_median_relative_l2": 0.0}
    assert not is_faithful(compare_features(features([1, 0]), zeros))


def test_numbers_that_are_none_are_not_faithful():
    assert not is_faithful(compare_features(features([np.nan, 1]), features([1, 1])))


@pytest.mark.parametrize(
    ("cosine", "distance", "faithful"),
    [(0.9995, 0.01, True), (0.99949, 0.01, False), (0.9995, 0.0101, False)],
)
def test_both_bars_bind(cosine, distance, faithful):
    assert is_faithful({"bf16_min_cosine": cosine, "bf16_median_relative_l2": distance}) is faithful
