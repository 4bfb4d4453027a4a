"""What folds leave out, and what they lack."""

from typing import Any

from simulations.adapt import override
from simulations.fold import make_folds
from simulations.left_out import balance_notes, left_out

PRESERVED = ["split.protocol=preserved-site-kfold", "split.folds=2", "federation.quorum=1"]


def test_every_hospital_is_left_out_once_with_all_its_patients(tiny: Any) -> None:
    study = override(tiny.study, PRESERVED)
    folds = make_folds(tiny.hospitals, study, 20, None)
    rows = left_out(study, folds)
    assert sorted(site for row in rows for site in row["sites"]) == ["02", "06", "HT", "QQ"]
    for row, fold in zip(rows, folds, strict=True):
        unseen = fold.unseen(None)
        assert unseen is not None
        assert row["patients"] == len(unseen) == sum(row["classes"].values())
        assert list(row["classes"]) == ["G2", "G3", "G4"]
    assert left_out(tiny.study, tiny.folds()) == []


def test_a_class_that_some_folds_lack_is_named(tiny: Any) -> None:
    study = override(tiny.study, PRESERVED)
    folds = make_folds(tiny.hospitals, study, 20, None)
    assert balance_notes(study, folds) == []
    for fold in folds:  # of G4, leave those of one hospital only
        for site in set(fold.sites) - {"HT"}:
            strata = fold.sites[site].strata
            strata[strata == 2] = 0
    (note,) = balance_notes(study, folds)
    lacking = next(n + 1 for n, fold in enumerate(folds) if "HT" in fold.training)
    assert note.startswith(
        f"No fold could be balanced for G4: only 1 hospital has such patients, and fold {lacking} of 2"
    )
