"""The federation without messages gives what the one with messages gives."""

from pathlib import Path

import numpy as np
import pytest

from shared.study import read_study
from simulations.adapt import of_fold, override
from simulations.arms import train_arm
from simulations.fold import Fold, make_folds
from simulations.ready import Ready, make_ready
from simulations.synthetic import FEATURES, FeatureHospital, write_cohort
from simulations.utility.in_memory import train_in_memory

STUDIES = Path(__file__).parents[3] / "simulations" / "studies"
EQUAL = tuple(FeatureHospital(code, 20, missing_share=0.0) for code in ("FA", "FB"))
"""As many training patients at both, since the federation without privacy weighs by their number."""


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Ready:
    folder = tmp_path_factory.mktemp("memory")
    write_cohort(folder / "cohort", kind=FEATURES, workers=1, hospitals=EQUAL)
    study = read_study(STUDIES / "features_linear.toml")
    return make_ready(study, cohort=str(folder / "cohort"), cache=folder / "cache", progress=lambda *_: None)


def fold_of(ready: Ready, *settings: str) -> Fold:
    study = override(ready.study, ("training.rounds=3", *settings))
    return make_folds(ready.hospitals, of_fold(study, 0, 0), 20, None)[0]


def test_it_ends_with_the_weights_of_the_federation(ready: Ready, tmp_path: Path) -> None:
    fold = fold_of(ready, "training.optimizer=sgd", "training.batch_size=0", "training.learning_rate=0.1")
    alone = train_in_memory(fold).models[""].arrays
    federated = train_arm("federated", fold, ready.hospitals, tmp_path).models[""].arrays
    assert alone.keys() == federated.keys()
    for name, array in federated.items():
        np.testing.assert_allclose(alone[name], array, atol=1e-6)
    assert any(np.abs(array).max() > 0.01 for array in federated.values())


def test_a_private_study_is_trained_privately(ready: Ready) -> None:
    """With a clip near 0 the patients count for nothing, and what moves the weights is noise, fresh every time."""
    terms = 'mode="local", epsilon=1.0, delta=1e-5, clip=1e-6, sample_rate=1.0, steps_per_round=1, expected_batch=14.0'
    fold = fold_of(ready, f"privacy={{{terms}}}", "training.learning_rate=1.0", "training.optimizer=sgd")
    first, second = (train_in_memory(fold).models[""].arrays for _ in range(2))
    moved = np.concatenate([array.ravel() for array in first.values()])
    assert 0 < np.abs(moved).max() < 1e-4
    assert not np.array_equal(moved, np.concatenate([array.ravel() for array in second.values()]))
