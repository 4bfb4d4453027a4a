"""Predictions are kept for exactly what they depend on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.tables import read_clinical
from shared.site import read_site
from shared.study import Study
from simulations.ablations.predictions import predict_fold


def test_predictions_are_made_again_for_other_features_or_another_version(
    tiny_cohort: Path,
    make_study: Callable[..., Study],
    make_prepared: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared = make_prepared(tiny_cohort, make_study("training.rounds=1"), tmp_path / "cache")
    (fold,) = prepared.folds()
    line_of = {case: line for line, case in enumerate(read_clinical(tiny_cohort)["case_id"])}

    def files() -> int:
        predict_fold(fold, prepared.hospitals, "pooled", line_of, tmp_path / "rows", "cohort")
        return len(list((tmp_path / "rows").glob("*.npz")))

    assert [files(), files()] == [1, 1]
    unseen = next(hospital for hospital in prepared.hospitals if hospital.id not in fold.training)
    manifest = store_folder(read_site(unseen.site_file), PrepareSettings.of(fold.study)) / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")  # as other features would
    assert files() == 2
    monkeypatch.setattr("simulations.ablations.predictions.__version__", "0.0.0")
    assert files() == 3
