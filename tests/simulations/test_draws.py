"""Draws of a run: what is stored, that no patient is, and when two runs are of the same patients."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.errors import BadInput
from shared.metrics import interval
from simulations.bootstrap import DRAWS
from simulations.draws import FILE, cohort_digest, fold_digest, read_draws, save_draws
from simulations.scores import Measured


def test_draws_read_back_as_they_were(tmp_path: Path) -> None:
    one = Measured({"auc": np.array([0.8])}, {"auc": np.array([0.7, 0.9])}, {}, 9, None)
    other = Measured({"auc": np.array([0.6])}, {"auc": np.array([0.5, np.nan])}, {}, 9, None)
    save_draws(tmp_path, ({"a/b": {"own": [[one, other], [one, one]], "sites.X": [[one]]}},), ("auc", "mcc"))
    found = read_draws(tmp_path / FILE)
    assert list(found) == [("a/b", "own", "auc")]
    assert found["a/b", "own", "auc"].points.tolist() == pytest.approx([0.7, 0.8])
    assert found["a/b", "own", "auc"].draws.tolist() == pytest.approx([(0.7 * 3 + 0.5) / 4, 0.9])  # the mean of finite


def test_a_run_without_draws_and_one_with_damaged_ones(tmp_path: Path) -> None:
    assert read_draws(tmp_path / FILE) == {}
    (tmp_path / FILE).write_bytes(b"not draws")
    with pytest.raises(BadInput, match="expected draws of a run, got a damaged file"):
        read_draws(tmp_path / FILE)


def test_the_draws_of_a_run_give_its_intervals(tiny_run: Any) -> None:
    found = read_draws(tiny_run.folder / FILE)
    assert {name for name, _, _ in found} == set(tiny_run.metrics["arms"]) | set(tiny_run.metrics["baselines"])
    for arm, scores in tiny_run.metrics["arms"].items():
        for where in ("own", "own_site_mean", "unseen"):
            draws, value = found[arm, where, "auc"], scores[where]["auc"]
            assert (len(draws.points), len(draws.draws)) == (2, DRAWS)
            assert float(draws.points.mean()) == pytest.approx(value["value"])
            assert interval(draws.draws) == pytest.approx((value["low"], value["high"]))


def test_a_fold_is_known_by_its_patients_and_seed(tiny: Any, make_study: Callable[..., Any]) -> None:
    (fold,) = tiny.folds()
    (again,) = tiny.folds()
    assert fold_digest(fold) == fold_digest(again)
    assert cohort_digest([fold]) == cohort_digest([again])
    assert fold_digest(replace(fold, study=fold.study.model_copy(update={"seed": 1}))) != fold_digest(fold)
    fewer = replace(fold, sites={s: d for s, d in fold.sites.items() if s != "QQ"})
    assert fold_digest(fewer) != fold_digest(fold)
    assert cohort_digest([fewer]) != cohort_digest([fold])
    rounds = fold.study.model_copy(update={"name": "another"})
    assert fold_digest(replace(fold, study=rounds)) == fold_digest(fold)  # another training, the same patients
