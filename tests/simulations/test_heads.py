"""Further heads in a simulation: trained beside the main task, scored on the patients whose label is known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shared.metrics import metric_names
from shared.study import Study
from simulations.arms import train_arm
from simulations.heads import score_heads
from simulations.scores import score_arm
from simulations.simulate import Options, simulate

HEADS = (
    "heads=[{name='death', weight=0.5, task={kind='survival', time_edges=[12, 36]}},"
    " {name='sex', task={kind='classification', column='sex', classes=['female', 'male']}}]"
)
SETTINGS = ("training.batch_size=0", "training.rounds=6", "training.learning_rate=0.2", "training.schedule=constant")


@pytest.fixture(scope="module")
def cohort(make_cohort: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hospitals that train and one of a single patient; every fourth patient, most at HT, has no known sex."""
    folder: Path = make_cohort(tmp_path_factory.mktemp("heads") / "cohort", {"02": 24, "06": 24, "HT": 24, "QQ": 1})
    table = pd.read_csv(folder / "clinical.tsv", sep="\t", dtype=str)
    table.loc[::4, "sex"] = ""
    table.loc[60:71, "sex"] = ""  # nine are left at HT
    table.to_csv(folder / "clinical.tsv", sep="\t", index=False)
    return folder


@pytest.fixture(scope="module")
def both(cohort: Path, make_study: Any, make_prepared: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The study without and with heads, each with its fold and its pooled model."""
    cache, found = tmp_path_factory.mktemp("cache"), []
    for settings in (SETTINGS, (*SETTINGS, HEADS)):
        prepared = make_prepared(cohort, make_study(*settings, "modalities.clinical=false"), cache)
        (fold,) = prepared.folds()
        found.append((fold, train_arm("pooled", fold, prepared.hospitals, cache)))
    return found


def test_heads_leave_the_main_task_of_a_linear_model_alone(both: list[Any]) -> None:
    """Its rows of weights share nothing, so a slice or a weight that went wrong would show."""
    (plain_fold, plain), (fold, trained) = both
    assert fold.study.outputs == 3 + 3 + 1
    alone, beside = score_arm(plain_fold, plain), score_arm(fold, trained)
    np.testing.assert_allclose(beside.own.scores, alone.own.scores, atol=1e-6)
    assert beside.own.scores.shape[1] == 3
    assert score_heads(plain_fold, plain) == {}


def test_each_head_scores_the_patients_whose_label_is_known(both: list[Any]) -> None:
    _, (fold, trained) = both
    scores, main = score_heads(fold, trained), score_arm(fold, trained)
    known = np.concatenate([fold.test(site, fold.statistics).further_y[:, 1] >= 0 for site in fold.training])
    assert 0 < known.sum() < len(known)
    assert len(scores["death"].own) == len(main.own) == len(known)
    assert len(scores["sex"].own) == known.sum()
    assert (scores["death"].own.kind, scores["death"].own.edges) == ("survival", (12.0, 36.0))
    assert scores["sex"].own.scores.shape[1] == 2
    assert len(main.unseen[0]) == 1  # a hospital of one patient never trains
    assert len(scores["sex"].unseen[0]) <= 1


def test_a_head_learns(both: list[Any]) -> None:
    """Genes follow the grade and so does survival, which untrained weights know nothing of."""
    _, (fold, trained) = both
    death = score_heads(fold, trained)["death"].own
    assert np.corrcoef(death.risk, death.y)[0, 1] < -0.2


@pytest.mark.slow
def test_metrics_of_every_arm_have_the_heads(cohort: Path, make_study: Callable[..., Study], tmp_path: Path) -> None:
    options = Options(make_study(*SETTINGS, HEADS), cohort=str(cohort), out=tmp_path / "out", cache=tmp_path / "cache")
    _, metrics = simulate(options, lambda what, done, total: None, lambda line: None)
    for arm in ("federated", "pooled", "local"):
        heads = metrics["arms"][arm]["heads"]
        assert set(heads) == {"death", "sex"}
        assert set(heads["death"]["own"]) == set(metric_names("survival", 3))
        assert set(heads["sex"]["own"]) == set(metric_names("classification", 2))
        assert heads["sex"]["own"]["accuracy"]["low"] <= heads["sex"]["own"]["accuracy"]["value"]
        assert heads["sex"]["unseen"]["auc"]["value"] is None
        assert heads["sex"]["unseen"]["auc"]["reason"] in ("one class", "no patients")
        assert heads["sex"]["own"]["accuracy"]["n"] < metrics["arms"][arm]["own"]["accuracy"]["n"]
    assert metrics["cohort"]["unseen"]["patients"] == 1
    assert any("other arms use: head sex at HT." in note for note in metrics["notes"])
