"""A finished simulation's model at its hospitals: `predict` says what the simulation scored."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.predict import predict_patients
from shared.errors import BadInput
from shared.run_folder import RunFolder, read_run
from shared.site import read_site
from simulations.arms import Model, Trained
from simulations.fold import Fold, make_folds
from simulations.hospitals import Hospital, split_cohort
from simulations.scores import Scores, score_arm
from simulations.simulate import Options, simulate

pytestmark = pytest.mark.slow  # a whole simulation, which test_simulate.py looks at in the quick loop


@pytest.fixture(scope="module")
def finished(tiny_run: Any) -> RunFolder:
    return read_run(tiny_run.folder)


@pytest.fixture(scope="module")
def hospitals(tiny_run: Any) -> list[Hospital]:
    return split_cohort(tiny_run.cohort, None, tiny_run.cache / "hospitals")


@pytest.fixture(scope="module")
def fold(finished: RunFolder, hospitals: list[Hospital]) -> Fold:
    return make_folds(hospitals, finished.study, 20, None)[0]


@pytest.fixture(scope="module")
def scored(finished: RunFolder, fold: Fold) -> Scores:
    """What the simulation scored its first repeat with."""
    return score_arm(fold, Trained({"": Model(finished.arrays, finished.statistics)}, 0.0))


def predicted(run: RunFolder, hospital: Hospital, out: Path) -> dict[str, np.ndarray]:
    """case_id -> probabilities, read back from the file."""
    with predict_patients(read_site(hospital.site_file), run, out).file.open() as file:
        rows = list(csv.DictReader(file))
    return {row["case_id"]: np.array([float(row[f"probability:{c}"]) for c in ("G2", "G3", "G4")]) for row in rows}


def test_unseen_patients_get_exactly_the_probabilities_of_the_simulation(
    finished: RunFolder, hospitals: list[Hospital], fold: Fold, scored: Scores, tmp_path: Path
) -> None:
    (unseen,) = [hospital for hospital in hospitals if hospital.id not in fold.training]
    found = predicted(finished, unseen, tmp_path / "p.csv")
    assert list(found) == fold.sites[unseen.id].patients.case_id.tolist()
    np.testing.assert_array_equal(np.stack(list(found.values())), scored.unseen[0].scores)


def test_own_test_patients_get_the_probabilities_of_the_simulation(
    finished: RunFolder, hospitals: list[Hospital], fold: Fold, scored: Scores, tmp_path: Path
) -> None:
    by_case: dict[str, np.ndarray] = {}
    for hospital in hospitals:
        by_case |= predicted(finished, hospital, tmp_path / f"{hospital.id}.csv")
    assert len(by_case) == 25 + 24 + 26 + 7
    own = np.concatenate([fold.sites[s].patients.case_id[fold.sites[s].test] for s in fold.training])
    np.testing.assert_allclose(np.stack([by_case[case] for case in own]), scored.own.scores, rtol=0, atol=1e-6)


def test_the_card_of_a_simulation_has_its_scores_and_its_cohort(tiny_run: Any) -> None:
    card = (tiny_run.folder / "model-card.md").read_text()
    auc = tiny_run.metrics["arms"]["federated"]["unseen"]["auc"]
    assert f"{auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f})" in card
    assert "| HT | 26 |" in card
    assert "NOT PRIVATE: trained without differential privacy" in card
    assert "Never trained on: 7 patients of 1 other hospital" in card
    assert "TCGA-" not in card


def test_a_run_without_the_federated_arm_has_no_model_and_says_so(tiny_run: Any, tmp_path: Path) -> None:
    out = shutil.copytree(tiny_run.folder, tmp_path / "out")
    study = read_run(out).study
    options = Options(study, cohort=str(tiny_run.cohort), arms=("pooled",), out=out, cache=tiny_run.cache)
    _, metrics = simulate(options, lambda what, done, total: None, lambda line: None)
    assert any(note.startswith("No model was saved") for note in metrics["notes"])
    assert not {"model.safetensors", "model-card.md", "events.jsonl"} & {path.name for path in out.iterdir()}
    with pytest.raises(
        BadInput, match="model.safetensors: expected it in manifest.json, got none; the run has no model"
    ):
        read_run(out)
