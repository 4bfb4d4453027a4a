"""A cohort's disclosure.toml becomes [disclosure] of its site files, and decides who trains."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.cohort.normalise import GeneStatistics
from shared.errors import CohortError
from shared.site import Disclosure, read_site
from shared.study import Study
from simulations.disclosure_file import DISCLOSURE_FILE, disclosure_notes, disclosure_of, disclosure_toml
from simulations.fold import make_folds


@pytest.fixture
def small(make_cohort: Callable[..., Path], tmp_path: Path) -> Path:
    """Three hospitals that may train by the usual rule, and one of seven patients."""
    return make_cohort(tmp_path / "cohort", {"02": 25, "06": 24, "HT": 26, "QQ": 7})


def test_small_hospitals_train_where_the_cohort_says_so(
    small: Path, make_study: Callable[..., Study], make_prepared: Callable[..., Any], tmp_path: Path
) -> None:
    usual = make_prepared(small, make_study(), tmp_path / "usual")
    assert make_folds(usual.hospitals, usual.study, 1, None)[0].training == ("02", "06", "HT")
    (small / DISCLOSURE_FILE).write_text("min_patients = 2\n")
    told = make_prepared(small, make_study(), tmp_path / "told")
    assert {read_site(hospital.site_file).disclosure for hospital in told.hospitals} == {Disclosure(min_patients=2)}
    (fold,) = make_folds(told.hospitals, told.study, 1, None)
    assert fold.training == ("02", "06", "HT", "QQ")
    assert fold.withheld == []
    sums = [fold.sites[site].train_sums for site in fold.training]  # QQ's genes too
    assert fold.statistics is not None
    np.testing.assert_array_equal(fold.statistics.table, GeneStatistics.merge(sums, sums[0].shape[1]).table)


def test_the_file_reads_back_and_a_note_says_what_it_allows(tmp_path: Path) -> None:
    assert (disclosure_of(tmp_path), disclosure_notes(tmp_path)) == (None, [])
    stated = Disclosure(min_patients=3, evaluation=False)
    (tmp_path / DISCLOSURE_FILE).write_text(disclosure_toml(stated))
    assert disclosure_of(tmp_path) == stated
    (note,) = disclosure_notes(tmp_path)
    assert note.startswith("Every site file of this cohort says min_patients = 3")
    (tmp_path / DISCLOSURE_FILE).write_text("min_patients = 12\n")
    assert disclosure_notes(tmp_path) == []


def test_a_wrong_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / DISCLOSURE_FILE).write_text("min_patients = 0\nevaluations = true\n")
    with pytest.raises(CohortError, match="(?s)min_patients"):
        disclosure_of(tmp_path)
