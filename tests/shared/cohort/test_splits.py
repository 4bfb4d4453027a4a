"""Test patients: how many, which, and that each site can tell by itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cohort.splits import split_patients
from tests.federation import tiny_study


def split(cases: list[str], strata: list[int], *, seed: int = 0, **fields: Any) -> set[str]:
    study = tiny_study(split={"test_fraction": 0.3, **fields}).model_copy(update={"seed": seed})
    return {case for case, test in zip(cases, split_patients(study, cases, strata), strict=True) if test}


@pytest.mark.parametrize(
    ("fraction", "patients", "expected"),
    [(0.3, 10, 3), (0.07, 100, 7), (0.3, 11, 4), (0.3, 1, 1), (0.0, 5, 0), (0.5, 5, 3), (0.1, 30, 3), (0.29, 100, 29)],
)
def test_the_first_ceil_of_a_stratum_are_test_patients(fraction: float, patients: int, expected: int) -> None:
    cases = [f"P{i}" for i in range(patients)]
    assert len(split(cases, [0] * patients, test_fraction=fraction)) == expected


def test_each_stratum_is_split_by_itself() -> None:
    test = split([f"P{i}" for i in range(15)], [0] * 10 + [2] * 5)
    assert (len(test & {f"P{i}" for i in range(10)}), len(test)) == (3, 5)


def test_the_order_is_that_of_the_hashes() -> None:
    # SHA-256 of 0|0|0|P0 ... P3 starts with e9, b4, 75, a3 (coreutils' sha256sum)
    assert split(["P0", "P1", "P2", "P3"], [0] * 4, test_fraction=0.25) == {"P2"}
    assert split(["P0", "P1", "P2", "P3"], [0] * 4, test_fraction=0.5) == {"P2", "P3"}


@given(st.permutations(range(12)))
def test_the_split_does_not_depend_on_the_order_of_patients(order: list[int]) -> None:
    cases, strata = [f"P{i}" for i in range(12)], [i % 2 for i in range(12)]
    assert split([cases[i] for i in order], [strata[i] for i in order]) == split(cases, strata)


def test_seed_repeat_and_fold_give_other_patients() -> None:
    cases = [f"P{i}" for i in range(40)]
    splits = [split(cases, [0] * 40, **fields) for fields in ({}, {"seed": 1}, {"repeat": 1}, {"fold": 1})]
    assert len({frozenset(test) for test in splits}) == 4


@given(st.integers(0, 200), st.integers(0, 2))
def test_by_patient_nobody_moves_anybody_else(others: int, stratum: int) -> None:
    cases = [f"P{i}" for i in range(40)]
    alone = split(cases, [i % 3 for i in range(40)], by="patient")
    more = split([*cases, f"Q{others}"], [*(i % 3 for i in range(40)), stratum], by="patient")
    assert more - {f"Q{others}"} == alone


def test_by_patient_the_fraction_holds_on_average() -> None:
    cases = [f"P{i}" for i in range(4000)]
    assert len(split(cases, [0] * 4000, by="patient")) == pytest.approx(1200, abs=90)  # 3 standard deviations: 87
    assert split(cases, [0] * 4000, by="patient", test_fraction=0.0) == set()


def test_nobody_is_split_into_nothing() -> None:
    assert split([], []) == set()


@pytest.mark.parametrize("by", ["stratum", "patient"])
def test_folds_of_patients_part_the_site(by: str) -> None:
    cases, strata = [f"P{i}" for i in range(53)], [i % 3 for i in range(53)]
    folds = [split(cases, strata, protocol="patient-kfold", folds=4, fold=fold, by=by) for fold in range(4)]
    assert sorted(case for fold in folds for case in fold) == sorted(cases)
    if by == "stratum":
        assert {len(fold) for fold in folds} <= {13, 14}
        for stratum in range(3):
            members = {case for case, s in zip(cases, strata, strict=True) if s == stratum}
            assert {len(fold & members) for fold in folds} <= {4, 5}


def test_folds_of_patients_change_with_the_repeat() -> None:
    cases = [f"P{i}" for i in range(40)]
    first, other = (split(cases, [0] * 40, protocol="patient-kfold", repeat=repeat) for repeat in (0, 1))
    assert first != other
