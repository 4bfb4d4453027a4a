"""Hospitals of the same sizes, patients dealt to them at random."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.study import Study
from simulations.adapt import of_fold, override
from simulations.fold import load_sites, make_folds
from simulations.iid import dealt_folds
from simulations.ready import Ready
from simulations.simulate import Options, simulate


def ready(tiny: Any, cohort: Path) -> Ready:
    return Ready(tiny.study, cohort, False, list(tiny.hospitals), list(tiny.hospitals), ())


def everyone(fold: Any) -> dict[str, set[str]]:
    return {site: set(data.patients.case_id.tolist()) for site, data in fold.sites.items()}


def test_sizes_stay_and_patients_move(tiny: Any, tiny_cohort: Path, tmp_path: Path) -> None:
    folds = tiny.folds()
    hospitals, (dealt,) = dealt_folds(ready(tiny, tiny_cohort), folds, folds[0].study, tmp_path, lambda *_: None)
    before, after = everyone(folds[0]), everyone(dealt)
    assert dealt.training == folds[0].training
    assert {site: len(cases) for site, cases in after.items()} == {site: len(cases) for site, cases in before.items()}
    assert Counter(case for part in after.values() for case in part) == Counter(
        case for part in before.values() for case in part
    )
    assert after["QQ"] == before["QQ"]  # never trained on: the same strangers for every arm
    for site in dealt.training:
        assert after[site] != before[site]
        assert set(dealt.sites[site].patients.site) == {site}
    assert {hospital.id for hospital in hospitals} == set(before)


def test_the_seed_of_the_repeat_deals(tiny: Any, tiny_cohort: Path, tmp_path: Path) -> None:
    folds = tiny.folds()
    deal = [
        everyone(
            dealt_folds(ready(tiny, tiny_cohort), folds, of_fold(tiny.study, repeat, 0), tmp_path, lambda *_: None)[1][
                0
            ]
        )
        for repeat in (0, 0, 1)
    ]
    assert deal[0] == deal[1] != deal[2]


def test_every_fold_splits_the_dealt_hospitals_as_they_would_themselves(
    tiny: Any, tiny_cohort: Path, tmp_path: Path
) -> None:
    study = override(tiny.study, ["split.protocol=patient-kfold", "split.folds=2"])
    folds = make_folds(tiny.hospitals, study, 20, None)
    hospitals, dealt = dealt_folds(ready(tiny, tiny_cohort), folds, study, tmp_path, lambda *_: None)
    assert len(dealt) == 2
    for fold in dealt:
        sites, _ = load_sites(hospitals, fold.study)
        assert list(fold.sites) == list(sites)
        assert [data.test.tolist() for data in fold.sites.values()] == [data.test.tolist() for data in sites.values()]
    assert dealt[0].sites["06"].test.tolist() == (~dealt[1].sites["06"].test).tolist()


@pytest.mark.slow
def test_dealt_hospitals_are_held_against_nothing_on_their_own_patients(
    tiny_cohort: Path, make_study: Callable[..., Study], tmp_path: Path
) -> None:
    options = Options(
        make_study(), cohort=str(tiny_cohort), arms=("federated", "iid"), out=tmp_path / "out", cache=tmp_path / "cache"
    )
    _, metrics = simulate(options, lambda what, done, total: None, lambda line: None)
    places = {row["where"] for row in metrics["floors"] if row["arm"] == "iid"}
    places |= {row["where"] for row in metrics["comparisons"] if "iid" in (row["a"], row["b"])}
    assert places == {"unseen"}  # the own patients of a dealt hospital are others than those of the real one
