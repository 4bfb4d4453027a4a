"""Who trains, who is tested, who is unseen."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.cohort.load import SitePatients, load_patients
from shared.cohort.store import FeatureStore
from shared.errors import CohortError, StudyError
from shared.study import Study
from simulations.adapt import of_fold, override
from simulations.fold import Fold, load_sites, make_folds

LOSO = "split.protocol=leave-one-site-out"
TRAINING = ("02", "06", "HT")


def _cases(fold: Fold) -> dict[str, set[str]]:
    """Which patients a fold uses as what."""
    statistics = fold.statistics
    unseen = fold.unseen(statistics)
    return {
        "train": {case for site in fold.training for case in fold.train(site, statistics).case_id},
        "test": {case for site in fold.training for case in fold.test(site, statistics).case_id},
        "unseen": set() if unseen is None else set(unseen.case_id),
    }


def test_small_sites_are_unseen(tiny: Any) -> None:
    (fold,) = tiny.folds()
    assert fold.training == TRAINING
    unseen = fold.unseen(fold.statistics)
    assert unseen is not None
    assert set(unseen.site) == {"QQ"}
    assert len(unseen) == 7


@pytest.mark.parametrize(("least", "training"), [(25, ("02", "HT")), (24, TRAINING)])
def test_a_site_of_just_the_least_size_trains(tiny: Any, least: int, training: tuple[str, ...]) -> None:
    assert tiny.folds(least)[0].training == training


def test_nobody_is_unseen_when_every_site_trains(tiny: Any) -> None:
    (fold,) = make_folds([hospital for hospital in tiny.hospitals if hospital.id != "QQ"], tiny.study, 20, None)
    assert fold.unseen(None) is None


def test_a_site_with_too_few_training_patients_never_trains(tiny: Any) -> None:
    """Its site file (min_patients = 10) would keep it out of the federation, so the other arms do without it too."""
    assert tiny.folds(least=1)[0].training == TRAINING
    with pytest.raises(CohortError, match="expected at least 2 sites with 1 usable patients, 10 of them for training"):
        make_folds(tiny.hospitals, override(tiny.study, ["split.test_fraction=0.6"]), 1, None)


def test_three_tenths_of_each_class_are_test_patients(tiny: Any) -> None:
    (fold,) = tiny.folds()
    for site in fold.training:
        train, test = (part(site, None).y for part in (fold.train, fold.test))
        for grade in range(3):
            n = int((train == grade).sum() + (test == grade).sum())
            assert int((test == grade).sum()) == -(-3 * n // 10)  # ceil(.3 n)


def test_each_large_site_is_left_out_once(tiny: Any) -> None:
    folds = make_folds(tiny.hospitals, override(tiny.study, [LOSO]), 20, None)
    left = [set(TRAINING) - set(fold.training) for fold in folds]
    assert left == [{"HT"}, {"02"}, {"06"}]  # the largest first
    for fold, site in zip(folds, ("HT", "02", "06"), strict=True):
        unseen = fold.unseen(None)
        assert unseen is not None
        assert set(unseen.site) == {site}  # the left-out site and no other
        assert all(len(fold.test(name, None)) > 0 for name in fold.training)


def test_folds_limits_how_many_sites_are_left_out(tiny: Any) -> None:
    folds = make_folds(tiny.hospitals, override(tiny.study, [LOSO]), 20, 2)
    assert [fold.training for fold in folds] == [("02", "06"), ("06", "HT")]
    assert [fold.study.split.fold for fold in folds] == [0, 1]


@pytest.mark.parametrize("setting", ["split.protocol=holdout", LOSO])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_patient_has_two_parts_and_none_is_lost(tiny: Any, setting: str, seed: int) -> None:
    study = of_fold(override(tiny.study, [setting]), seed, 0)
    for fold in make_folds(tiny.hospitals, study, 20, None):
        parts = list(_cases(fold).values())
        assert sum(map(len, parts)) == len(set().union(*parts)) == sum(len(s.patients) for s in fold.sites.values())


def test_repeats_and_folds_draw_other_test_patients(tiny: Any) -> None:
    (first,) = make_folds(tiny.hospitals, of_fold(tiny.study, 0, 0), 20, None)
    (second,) = make_folds(tiny.hospitals, of_fold(tiny.study, 1, 0), 20, None)
    assert _cases(first)["test"] != _cases(second)["test"]
    assert _cases(first)["unseen"] == _cases(second)["unseen"]
    loso = make_folds(tiny.hospitals, override(tiny.study, [LOSO]), 20, None)
    assert set(loso[1].test("06", None).case_id) != set(loso[0].test("06", None).case_id)


PROTOCOLS = ("holdout", "patient-kfold", "preserved-site-kfold", "leave-one-site-out")


@pytest.mark.parametrize("by", ["stratum", "patient"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_folds_are_those_that_reading_every_store_again_would_give(tiny: Any, protocol: str, by: str) -> None:
    settings = [f"split.protocol={protocol}", f"split.by={by}", "split.folds=2", "federation.quorum=1"]
    folds = make_folds(tiny.hospitals, of_fold(override(tiny.study, settings), 1, 0), 20, None)
    assert len(folds) == {"holdout": 1, "leave-one-site-out": 3}.get(protocol, 2)
    for fold in folds:
        anew, _ = load_sites([hospital for hospital in tiny.hospitals if hospital.id in fold.sites], fold.study)
        assert list(fold.sites) == list(anew)
        for site, data in anew.items():
            assert _held(fold.sites[site]) == _held(data)


def _bits(value: Any) -> Any:
    """A value to compare with ==, arrays to the bit."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    return [_bits(part) for part in value] if isinstance(value, tuple) else value


def _held(data: SitePatients) -> dict[str, Any]:
    """Everything that a site's patients hold."""
    own, patients = vars(data), vars(data.patients)
    return {name: _bits(value) for name, value in {**own, **patients}.items() if name != "patients"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_store_is_read_once(tiny: Any, protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a thousand hospitals most of the wait would be for reading the same files in every fold."""
    read: Counter[str] = Counter()

    def counted(store: FeatureStore, *rest: Any) -> SitePatients:
        read[store.manifest.site] += 1
        return load_patients(store, *rest)

    monkeypatch.setattr("simulations.fold.load_patients", counted)
    study = override(tiny.study, [f"split.protocol={protocol}", "split.folds=2", "federation.quorum=1"])
    make_folds(tiny.hospitals, study, 20, None)
    assert read == dict.fromkeys(["02", "06", "HT", "QQ"], 1)


def test_too_few_sites_are_refused(tiny: Any) -> None:
    with pytest.raises(
        CohortError,
        match=r"expected at least 2 sites with 26 usable patients, 10 of them for training, got 1 of 4; lower",
    ):
        tiny.folds(26)


def test_leaving_one_out_needs_one_more_site(tiny: Any) -> None:
    with pytest.raises(
        CohortError, match="expected at least 3 sites with 25 usable patients, 10 of them for training, got 2 of 4"
    ):
        make_folds(tiny.hospitals, override(tiny.study, [LOSO]), 25, None)


def test_a_split_without_test_patients_is_refused(tiny: Any) -> None:
    with pytest.raises(StudyError, match="split.test_fraction: expected more than 0, got 0.0; write e.g. 0.3"):
        make_folds(tiny.hospitals, override(tiny.study, ["split.test_fraction=0.0"]), 20, None)


def test_statistics_are_those_of_the_training_patients(tiny: Any) -> None:
    (fold,) = tiny.folds()
    raw = np.concatenate([fold.sites[s].patients.expression[~fold.sites[s].test] for s in fold.training])
    assert fold.statistics is not None
    np.testing.assert_allclose(fold.statistics.table[0], raw.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(fold.statistics.table[1], raw.std(axis=0), atol=1e-6)
    own, site = fold.own_statistics("06"), fold.sites["06"]
    assert own is not None
    np.testing.assert_allclose(own.table[0], site.patients.expression[~site.test].mean(axis=0), atol=1e-6)
    assert not np.allclose(own.table[0], fold.statistics.table[0], atol=1e-3)


def test_what_only_the_federated_arm_does_without_is_named(tiny: Any) -> None:
    (fold,) = tiny.folds()
    assert fold.withheld == []
    site = fold.sites["06"]
    for kept, withheld in ((9, ["expression at 06"]), (10, []), (0, [])):
        present = np.zeros_like(site.patients.present)
        present[np.flatnonzero(~site.test)[:kept]] = 1
        few = replace(site, patients=replace(site.patients, present=present))
        assert replace(fold, sites={**fold.sites, "06": few}).withheld == withheld


def test_patients_of_sites_without_a_usable_one_are_counted(
    make_cohort: Callable[..., Path],
    make_study: Callable[..., Study],
    make_prepared: Callable[..., Any],
    tmp_path: Path,
) -> None:
    cohort = make_cohort(tmp_path / "cohort", {"AA": 4, "BB": 3})
    table = (cohort / "clinical.tsv").read_text().splitlines()
    emptied = [line.rsplit("\t", 1)[0] + "\t" if "-BB-" in line or "-AA-0001" in line else line for line in table]
    (cohort / "clinical.tsv").write_text("\n".join(emptied) + "\n")
    prepared = make_prepared(cohort, make_study(), tmp_path / "cache")
    sites, excluded = load_sites(prepared.hospitals, prepared.study)
    assert list(sites) == ["AA"]
    assert excluded == {"label missing": 4}  # the three of BB, which has nobody else, among them


def test_patient_kfold_tests_every_patient_of_a_training_site_once(tiny: Any) -> None:
    folds = make_folds(
        tiny.hospitals, override(tiny.study, ["split.protocol=patient-kfold", "split.folds=3"]), 20, None
    )
    parts = [_cases(fold) for fold in folds]
    everyone = parts[0]["train"] | parts[0]["test"]
    assert sorted(case for part in parts for case in part["test"]) == sorted(everyone)
    assert all(part["train"] == everyone - part["test"] for part in parts)
    assert len({frozenset(part["unseen"]) for part in parts}) == 1
    assert [fold.training for fold in folds] == [TRAINING] * 3


def test_preserved_site_kfold_never_parts_a_hospital(tiny: Any) -> None:
    """Small hospitals are in a fold as well, and never train."""
    study = override(tiny.study, ["split.protocol=preserved-site-kfold", "split.folds=2", "federation.quorum=1"])
    folds = make_folds(tiny.hospitals, study, 20, None)
    unseen = [set(fold.sites) - set(fold.training) for fold in folds]
    assert sorted(site for part in unseen for site in part) == ["02", "06", "HT", "QQ"]
    for fold in folds:
        assert "QQ" not in fold.training
        assert fold.training
        cases = _cases(fold)
        assert not cases["train"] & cases["unseen"]
        assert cases["test"]


def test_more_folds_than_hospitals_are_refused(tiny: Any) -> None:
    study = override(tiny.study, ["split.protocol=preserved-site-kfold", "split.folds=5"])
    with pytest.raises(CohortError, match="expected at least 5 hospitals .*, got 4; use --folds 4 or"):
        make_folds(tiny.hospitals, study, 20, None)
