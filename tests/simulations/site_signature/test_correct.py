"""Corrections take out what was put in, and keep what must stay."""

import numpy as np
import pytest

from simulations.site_signature import CORRECTIONS, fit_correction, name_hospital

SITES = np.array(["A", "B", "C"])
MIX = {"A": 0.8, "B": 0.5, "C": 0.2}  # share of class 1


def drawn(seed: int, n: int = 150, width: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features with a shift and a scale of each hospital and a class difference of 1; and the same without either."""
    looks = np.random.default_rng(99)
    shift, scale = looks.normal(0, 2, (3, width)), np.exp(looks.normal(0, 0.3, (3, width)))
    rng = np.random.default_rng(seed)
    place = np.repeat([0, 1, 2], n)
    site = SITES[place]
    classes = (rng.random(3 * n) < np.array([MIX[name] for name in site])).astype(int)
    clean = rng.normal(size=(3 * n, width)) + classes[:, None]
    return clean * scale[place] + shift[place], site, classes, clean


def difference(features: np.ndarray, classes: np.ndarray) -> float:
    return float((features[classes == 1].mean(axis=0) - features[classes == 0].mean(axis=0)).mean())


def test_combat_removes_shift_and_scale_of_new_patients_and_keeps_the_classes() -> None:
    features, site, classes, _ = drawn(0)
    new, new_site, new_classes, clean = drawn(1)
    corrected = fit_correction("combat", features, site, classes)(new, new_site)
    for name in SITES:
        for kind in (0, 1):
            here = (new_site == name) & (new_classes == kind)
            other = (new_site != name) & (new_classes == kind)
            assert abs(corrected[here].mean() - corrected[other].mean()) < 0.1
            assert corrected[here].std(axis=0).mean() == pytest.approx(corrected[other].std(axis=0).mean(), rel=0.1)
    before, after = (name_hospital(x, new_site, 0, classes=new_classes).within_class_auc for x in (new, corrected))
    assert before is not None
    assert after is not None
    assert before > 0.99
    assert after < 0.7
    unit = float(np.mean(corrected[new_classes == 0].std(axis=0) / clean[new_classes == 0].std(axis=0)))
    assert difference(corrected, new_classes) / unit == pytest.approx(1.0, abs=0.1)


def test_without_labels_the_mix_of_classes_counts_as_the_hospitals_own() -> None:
    features, site, classes, _ = drawn(0)
    new, new_site, new_classes, _ = drawn(1)
    kept = difference(fit_correction("combat", features, site, classes)(new, new_site), new_classes)
    for corrected in (
        fit_correction("combat", features, site)(new, new_site),
        fit_correction("site_scale", features, site)(new, new_site),
    ):
        assert difference(corrected, new_classes) < 0.95 * kept


def test_unlabelled_patients_of_a_site_are_fitted_beside_labelled_ones() -> None:
    features, site, classes, _ = drawn(0)
    new, new_site, new_classes, _ = drawn(1)
    some = np.where(site == "B", -1, classes)
    corrected = fit_correction("combat", features, site, some)(new, new_site)
    same = new_classes == 1
    assert abs(corrected[same & (new_site == "B")].mean() - corrected[same & (new_site != "B")].mean()) < 0.25
    assert abs(new[same & (new_site == "B")].mean(axis=0) - new[same & (new_site != "B")].mean(axis=0)).mean() > 1


def test_scaling_within_the_site_is_its_z_score() -> None:
    features, site, _, _ = drawn(2, n=30, width=4)
    scaled = fit_correction("site_scale", features, site)(features, site)
    for name in SITES:
        assert scaled[site == name].mean(axis=0) == pytest.approx(0, abs=1e-12)
        assert scaled[site == name].std(axis=0, ddof=1) == pytest.approx(1)


def test_none_is_the_features_themselves() -> None:
    features, site, classes, _ = drawn(3, n=5)
    assert (fit_correction("none", features, site, classes)(features, site) == features).all()


def test_combat_draws_a_small_site_towards_no_shift() -> None:
    rng = np.random.default_rng(5)
    site = np.repeat(["A", "B"], [100, 4])
    features = rng.normal(size=(104, 500))  # no signature at all
    scaled, shrunk = (fit_correction(kind, features, site).shift[1] for kind in ("site_scale", "combat"))
    assert np.abs(shrunk).mean() < 0.6 * np.abs(scaled).mean()


@pytest.mark.parametrize("kind", CORRECTIONS)
@pytest.mark.parametrize("width", [1, 3])
def test_lonely_patients_and_constant_features_stay_finite(kind: str, width: int) -> None:
    rng = np.random.default_rng(6)
    site = np.array(["A"] * 10 + ["B"])
    features = rng.normal(size=(11, width))
    features[:, 0] = 1.0
    assert np.isfinite(fit_correction(kind, features, site)(features, site)).all()


def test_a_site_that_was_not_fitted_is_refused() -> None:
    correction = fit_correction("combat", np.arange(8.0)[:, None], np.repeat(["A", "B"], 4))
    with pytest.raises(ValueError, match="fitted on, got C; fit it on their unlabelled features too"):
        correction(np.zeros((1, 1)), np.array(["C"]))
