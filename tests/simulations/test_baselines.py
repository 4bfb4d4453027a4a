"""The floors: what the hospital, the age or a linear model alone reach."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.study import Imaging, Study
from simulations.adapt import override
from simulations.baselines import score_baselines
from simulations.fold import Fold, make_folds


@pytest.fixture(scope="module")
def prepared_survival(
    make_cohort: Callable[..., Path],
    make_study: Callable[..., Study],
    make_prepared: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    root = tmp_path_factory.mktemp("survival")
    cohort = make_cohort(root / "cohort", {"AA": 40, "BB": 40, "ZZ": 15}, seed=2)
    return make_prepared(cohort, make_study("task.kind=survival"), root / "cache")


@pytest.fixture(scope="module")
def survival(prepared_survival: Any) -> Fold:
    (fold,) = prepared_survival.folds()
    return fold  # type: ignore[no-any-return]


def test_site_alone_is_the_majority_class_of_the_hospital(tiny: Any) -> None:
    (fold,) = tiny.folds()
    scores = score_baselines(fold)["site_alone"]
    everyone: Counter[int] = Counter()
    for site in fold.training:
        train = Counter(fold.train(site, None).y.tolist())
        everyone += train
        rows = scores.own.scores[scores.own.site == site]
        shares = np.array([train[grade] for grade in range(3)]) / sum(train.values())
        np.testing.assert_allclose(rows, np.tile(shares, (len(rows), 1)))
    overall = np.array([everyone[grade] for grade in range(3)]) / sum(everyone.values())
    np.testing.assert_allclose(scores.unseen[0].scores, np.tile(overall, (7, 1)))  # whose hospital never trained


def test_a_linear_floor_learns_the_genes(tiny: Any) -> None:
    (fold,) = tiny.folds()
    floors = score_baselines(fold)
    assert set(floors) == {"site_alone", "linear_expression"}  # with one modality `all` would say the same
    own = floors["linear_expression"].own
    assert (own.scores.argmax(axis=1) == own.y).mean() > 0.6
    np.testing.assert_allclose(own.scores.sum(axis=1), 1)


def test_survival_floors_are_survival_curves(survival: Fold) -> None:
    floors = score_baselines(survival)
    assert set(floors) == {"site_alone", "linear_expression", "linear_clinical", "linear_all", "age_alone"}
    for scores in floors.values():
        for part in (scores.own, *scores.unseen):
            assert part.scores.shape[1] == 4
            assert (np.diff(part.scores, axis=1) <= 1e-9).all()
            assert ((part.scores >= 0) & (part.scores <= 1)).all()


def test_age_alone_ranks_by_age(survival: Fold) -> None:
    scores = score_baselines(survival)["age_alone"]
    age = np.concatenate([survival.test(site, None).clinical[:, 0] for site in survival.training])
    order = np.argsort(age, kind="stable")
    risk = scores.own.risk[order]
    rises = np.diff(risk)
    assert (rises >= -1e-9).all() or (rises <= 1e-9).all()
    assert np.ptp(risk) > 0


def test_a_hospitals_curve_is_that_of_its_training_patients(survival: Fold) -> None:
    scores = score_baselines(survival)["site_alone"]
    a, b = (scores.own.scores[scores.own.site == site] for site in ("AA", "BB"))
    assert np.ptp(a, axis=0).max() == 0
    assert not np.allclose(a[0], b[0])


def test_images_are_averaged_into_a_floor(tiny: Any) -> None:
    (fold,) = tiny.folds()
    rng = np.random.default_rng(0)
    sites = {}
    for name, data in fold.sites.items():
        patients = data.patients
        # each patient's two images lie around the grade; the second holds what the first lacks
        noise = rng.normal(0, 2, (len(patients), 1, 3))
        images = patients.y[:, None, None] + np.concatenate([noise, -noise], axis=1)
        changed = replace(
            patients,
            modalities=("imaging",),
            present=np.ones((len(patients), 1), np.float32),
            images=tuple(images.astype(np.float32)),
        )
        sites[name] = replace(data, patients=changed)
    use = fold.study.modalities.model_copy(update={"expression": None, "imaging": Imaging(encoder="tiny", dim=2)})
    study = fold.study.model_copy(update={"modalities": use})
    scores = score_baselines(replace(fold, study=study, sites=sites))["linear_imaging"]
    assert (scores.own.scores.argmax(axis=1) == scores.own.y).all()


@pytest.mark.parametrize("protocol", ["holdout", "patient-kfold", "leave-one-site-out", "preserved-site-kfold"])
def test_age_and_hospital_alone_are_there_under_every_protocol(prepared_survival: Any, protocol: str) -> None:
    study = override(prepared_survival.study, [f"split.protocol={protocol}", "split.folds=2", "federation.quorum=1"])
    for fold in make_folds(prepared_survival.hospitals, study, 20, None):
        floors = score_baselines(fold)
        assert {"age_alone", "site_alone"} <= set(floors)
        for scores in floors.values():
            assert len(scores.own) == sum(len(fold.test(site, None)) for site in fold.training)
        unseen = floors["site_alone"].unseen
        if unseen:  # of a hospital that no model knows: everybody is given the overall curve
            assert np.ptp(unseen[0].scores, axis=0).max() == 0
            assert np.ptp(floors["age_alone"].unseen[0].risk) > 0
