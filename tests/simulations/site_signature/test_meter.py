"""The meter on drawn features whose separability is known."""

import numpy as np
import pytest
from scipy.stats import norm

from simulations.site_signature import name_hospital
from simulations.site_signature.naming import macro_auc


def hospitals(sizes: dict[str, int]) -> np.ndarray:
    return np.repeat(list(sizes), list(sizes.values()))


def test_two_hospitals_apart_by_one_sd_have_the_auc_of_two_gaussians() -> None:
    rng = np.random.default_rng(0)
    site = hospitals({"A": 400, "B": 400})
    features = rng.normal(size=(800, 1)) + (site == "B")[:, None]
    found = name_hospital(features, site, 0)
    expected = norm.cdf(1 / np.sqrt(2))  # .760
    assert found.auc == pytest.approx(expected, abs=0.03)
    assert found.low is not None
    assert found.high is not None
    assert found.low < expected < found.high
    assert found.balanced_accuracy == pytest.approx(norm.cdf(0.5), abs=0.04)  # halfway between the means
    assert found.chance == 0.5


@pytest.mark.parametrize("width", [3, 300])
def test_no_signal_is_chance_on_average(width: int) -> None:
    found = [
        name_hospital(
            np.random.default_rng(seed).normal(size=(120, width)), np.arange(120) % 6 + 10 * np.ones(120), seed
        )
        for seed in range(8)
    ]
    assert np.mean([f.auc for f in found]) == pytest.approx(0.5, abs=0.04)  # .03 each
    assert np.mean([f.balanced_accuracy for f in found]) == pytest.approx(1 / 6, abs=0.04)


def test_shuffled_hospitals_are_chance_where_the_true_ones_are_not() -> None:
    rng = np.random.default_rng(1)
    site = hospitals({"A": 40, "B": 40, "C": 40})
    features = rng.normal(size=(120, 20)) + 3 * rng.normal(size=(3, 20))[np.unique(site, return_inverse=True)[1]]
    found = name_hospital(features, site, 0, shuffles=5)
    assert found.auc is not None
    assert found.auc > 0.99
    assert found.null == pytest.approx(0.5, abs=0.06)
    assert found.null_highest is not None
    assert found.null_highest < 0.65


def test_the_order_of_the_patients_changes_nothing_and_a_seed_repeats_it() -> None:
    rng = np.random.default_rng(2)
    site = hospitals({"A": 30, "B": 20, "C": 25})
    features = rng.normal(size=(75, 8)) + (site == "A")[:, None]
    classes, keys = rng.integers(2, size=75), np.array([f"p{i:03d}" for i in range(75)])
    first = name_hospital(features, site, 4, classes=classes, keys=keys, shuffles=1)
    mixed = rng.permutation(75)
    assert name_hospital(features[mixed], site[mixed], 4, classes=classes[mixed], keys=keys[mixed], shuffles=1) == first
    assert name_hospital(features, site, 4, classes=classes) == name_hospital(
        features[mixed], site[mixed], 4, classes=classes[mixed]
    )
    assert name_hospital(features, site, 5, classes=classes, keys=keys, shuffles=1) != first


def test_hospitals_that_differ_by_their_patients_only_are_not_named_within_a_class() -> None:
    rng = np.random.default_rng(3)
    site = hospitals({"A": 200, "B": 200})
    classes = (rng.random(400) < np.where(site == "A", 0.9, 0.1)).astype(int)
    biology = rng.normal(size=(400, 5)) + 3 * classes[:, None]
    found = name_hospital(biology, site, 0, classes=classes)
    assert found.auc is not None
    assert found.auc > 0.85
    assert found.within_class_auc == pytest.approx(0.5, abs=0.08)
    stained = name_hospital(biology + 3 * (site == "A")[:, None] * [1, -1, 0, 0, 0], site, 0, classes=classes)
    assert stained.within_class_auc is not None
    assert stained.within_class_auc > 0.95


def test_small_hospitals_are_left_out_and_counted() -> None:
    rng = np.random.default_rng(4)
    site = hospitals({"A": 6, "B": 5, "C": 4, "D": 1})
    found = name_hospital(rng.normal(size=(16, 3)), site, 0)
    assert (found.n, found.sites, found.left_out) == (11, 2, 5)
    alone = name_hospital(rng.normal(size=(9, 3)), hospitals({"A": 5, "B": 4}), 0)
    assert alone.auc is None
    assert alone.reason == "fewer than two hospitals with 5 patients"
    assert name_hospital(np.zeros((10, 0)), hospitals({"A": 5, "B": 5}), 0).reason == "no features"


def test_features_that_are_all_alike_name_nobody() -> None:
    found = name_hospital(np.ones((20, 4)), hospitals({"A": 10, "B": 10}), 0)
    assert found.auc == 0.5


def test_features_that_do_not_fit_are_refused() -> None:
    site = hospitals({"A": 5, "B": 5})
    with pytest.raises(ValueError, match=r"expected finite \(10, d\), got \(9, 2\)"):
        name_hospital(np.zeros((9, 2)), site, 0)
    with pytest.raises(ValueError, match="fill in or leave out"):
        name_hospital(np.full((10, 2), np.nan), site, 0)


def test_the_auc_counts_pairs_of_one_stratum() -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
    truth = np.array([0, 1, 0, 1])
    # all pairs: .9 and .4 against .2 and .7, of which three are won
    assert macro_auc(scores, truth, np.zeros(4, int))[0] == pytest.approx(0.75)
    # within {0, 1} won, within {2, 3} lost
    assert macro_auc(scores, truth, np.array([0, 0, 1, 1]))[0] == pytest.approx(0.5)
    assert macro_auc(scores, truth, np.array([0, 1, 2, 3])) == (None, None, None)


def test_the_interval_covers_as_often_as_it_says() -> None:
    expected, inside = norm.cdf(1 / np.sqrt(2)), 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truth = np.repeat([0, 1], 40)
        score = rng.normal(size=80) + (truth == 0)
        _, low, high = macro_auc(np.stack([score, -score], axis=1), truth, np.zeros(80, int))
        assert low is not None
        assert high is not None
        inside += low <= expected <= high
    assert 0.9 < inside / 200 <= 0.99
