"""The arms of a comparison: one start, as many passes, and what full batches make equal."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import client.training
import simulations.arms
from shared.cohort.patients import Patients
from shared.weights import local_names, new_model, take_arrays
from simulations.adapt import override
from simulations.arms import ARMS, Trained, restored, train_arm
from simulations.fold import Fold, make_folds
from simulations.scores import measure_scores, score_arm

EQUAL = ("federated", "pooled", "local")
"""The arms with the same start and as many passes."""


@pytest.fixture(scope="module")
def fold(tiny: Any) -> Fold:
    """Full batches of plain SGD: four rounds."""
    return tiny.folds()[0]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def trained(tiny: Any, fold: Fold, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    return {arm: train_arm(arm, fold, tiny.hospitals, tmp_path_factory.mktemp(arm)) for arm in EQUAL}


def test_the_order_of_the_arms_is_that_of_the_reports() -> None:
    assert list(ARMS) == [*EQUAL, "finetuned", "personal"]


def test_one_model_for_all_or_one_a_site(fold: Fold, trained: dict[str, Trained]) -> None:
    assert set(trained["federated"].models) == set(trained["pooled"].models) == {""}
    assert set(trained["local"].models) == set(fold.training)
    assert trained["pooled"].of_site("06") is trained["pooled"].models[""]
    assert trained["local"].of_site("06") is trained["local"].models["06"]


def test_one_full_batch_step_a_round_makes_federated_equal_to_pooled(fold: Fold, trained: dict[str, Trained]) -> None:
    federated, pooled = (trained[arm].models[""] for arm in ("federated", "pooled"))
    for name, array in federated.arrays.items():
        np.testing.assert_allclose(array, pooled.arrays[name], atol=1e-6)
    measured = {
        arm: measure_scores(score_arm(fold, trained[arm], ablate=True), fold) for arm in ("federated", "pooled")
    }
    assert set(measured["federated"]) >= {"own", "own_site_mean", "unseen", "sites.06"}
    for where, one in measured["federated"].items():
        assert set(one.point) >= {"accuracy", "auc", "brier", "ece"}
        for metric, value in one.point.items():
            np.testing.assert_allclose(value, measured["pooled"][where].point[metric], atol=5e-4)


def test_the_arms_moved_away_from_the_start(fold: Fold, trained: dict[str, Trained]) -> None:
    start = take_arrays(new_model(fold.study))
    for name, model in {**trained["local"].models, "pooled": trained["pooled"].models[""]}.items():
        assert any(not np.array_equal(model.arrays[key], start[key]) for key in start), name


def test_local_models_differ_from_each_other_and_from_the_federated_one(trained: dict[str, Trained]) -> None:
    models = [*trained["local"].models.values(), trained["federated"].models[""]]
    flat = [np.concatenate([array.ravel() for array in model.arrays.values()]) for model in models]
    for i, a in enumerate(flat):
        for b in flat[i + 1 :]:
            assert float(np.abs(a - b).max()) > 1e-3


def test_federated_and_pooled_agree_on_the_gene_statistics(fold: Fold, trained: dict[str, Trained]) -> None:
    tables = [trained[arm].models[""].statistics for arm in ("federated", "pooled")]
    assert tables[0] is not None
    assert tables[1] is not None
    np.testing.assert_array_equal(tables[0].table, tables[1].table)
    local = trained["local"].models["06"].statistics
    assert local is not None
    assert not np.allclose(local.table, tables[0].table, atol=1e-3)


def test_every_arm_records_every_round(fold: Fold, trained: dict[str, Trained]) -> None:
    for arm, one in trained.items():
        assert [r["round"] for r in one.rounds] == [1, 2, 3, 4], arm
        losses = [r["loss"] for r in one.rounds]
        assert losses == sorted(losses, reverse=True), arm  # full batches of a convex loss
        assert one.seconds > 0
    assert set(trained["federated"].rounds[0]["sites"]) == set(fold.training)


def test_restored_models_give_the_trained_weights(fold: Fold, trained: dict[str, Trained]) -> None:
    model = trained["federated"].models[""]
    arrays = take_arrays(restored(fold.study, model))
    assert all(np.array_equal(arrays[name], model.arrays[name]) for name in model.arrays)


def test_all_arms_start_alike_and_pass_as_often_over_each_patient(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watched from within `train_round`, with small batches, two epochs a round and weights that start at random."""
    settings = ["training.rounds=2", "training.local_epochs=2", "training.batch_size=5", "model.zero_init=false"]
    (fold,) = make_folds(tiny.hospitals, override(tiny.study, settings), 20, None)
    seen: Counter[str] = Counter()
    starts: list[dict[str, torch.Tensor]] = []
    batch, train_round = Patients.batch, client.training.train_round

    def watched_batch(self: Patients, index: Any, **options: Any) -> Any:
        if options.get("generator") is not None:  # training, not evaluation
            seen.update(self.case_id[np.asarray(index)].tolist())
        return batch(self, index, **options)

    def watched_round(model: torch.nn.Module, *args: Any, **options: Any) -> Any:
        starts.append({name: value.detach().clone() for name, value in model.state_dict().items()})
        return train_round(model, *args, **options)

    monkeypatch.setattr(Patients, "batch", watched_batch)
    monkeypatch.setattr(simulations.arms, "train_round", watched_round)
    monkeypatch.setattr("client.work.train_round", watched_round)
    counts, first = {}, []
    for arm in EQUAL:
        train_arm(arm, fold, tiny.hospitals, tmp_path / arm)
        counts[arm] = dict(seen)
        first.append(starts[0])
        seen.clear()
        starts.clear()
    patients = [case for site in fold.training for case in fold.train(site, None).case_id]
    assert counts["federated"] == counts["pooled"] == counts["local"] == dict.fromkeys(patients, 4)
    for other in first[1:]:
        assert all(torch.equal(first[0][name], other[name]) for name in other)
    assert any(bool(value.any()) for value in first[0].values())  # not zeros only


def test_with_fedbn_own_patients_are_scored_by_the_sites_own_layers(tiny: Any, tmp_path: Path) -> None:
    """Strangers get the average."""
    settings = ["federation.strategy=fedbn", "model.architecture=s1_crossattn", "model.dim=8", "model.heads=2"]
    settings += ["training.rounds=2", "training.batch_size=8", "training.learning_rate=0.1"]
    (fold,) = make_folds(tiny.hospitals, override(tiny.study, settings), 20, None)
    trained = train_arm("federated", fold, tiny.hospitals, tmp_path)
    assert set(trained.models) == {"", *fold.training}
    common = trained.models[""].arrays
    own = local_names(new_model(fold.study), "fedbn")
    for site in fold.training:
        arrays = trained.models[site].arrays
        differ = {name for name in common if not np.array_equal(arrays[name], common[name])}
        assert differ
        assert differ <= own
    for name in own:  # what strangers get is the mean of the sites' layers
        layers = np.stack([trained.models[site].arrays[name] for site in fold.training])
        assert (common[name] >= layers.min(0) - 1e-6).all()
        assert (common[name] <= layers.max(0) + 1e-6).all()
    scores = score_arm(fold, trained)
    assert scores.one_model
    assert len(scores.unseen) == 1


def test_finetuned_models_go_on_from_the_federated_one(
    tiny: Any, fold: Fold, trained: dict[str, Trained], tmp_path: Path
) -> None:
    tuned = train_arm("finetuned", fold, tiny.hospitals, tmp_path, trained["federated"])
    again = train_arm("finetuned", fold, tiny.hospitals, tmp_path)
    start = trained["federated"].models[""]
    assert set(tuned.models) == set(fold.training)
    assert [r["round"] for r in tuned.rounds] == [5]  # a tenth of four rounds is at least one
    for site, model in tuned.models.items():
        assert model.statistics is start.statistics
        moved = max(float(np.abs(model.arrays[name] - start.arrays[name]).max()) for name in start.arrays)
        away = max(float(np.abs(trained["local"].models[site].arrays[n] - start.arrays[n]).max()) for n in start.arrays)
        assert 0 < moved < away  # one round from the common model lies nearer to it than the site's own
        for name, array in model.arrays.items():
            np.testing.assert_array_equal(array, again.models[site].arrays[name])
    assert not score_arm(fold, tuned).one_model


def test_personal_sites_share_all_but_the_head(tiny: Any, fold: Fold, tmp_path: Path) -> None:
    trained = train_arm("personal", fold, tiny.hospitals, tmp_path)
    assert set(trained.models) == {"", *fold.training}
    common = trained.models[""].arrays
    for site in fold.training:
        arrays = trained.models[site].arrays
        assert {name for name in common if not np.array_equal(arrays[name], common[name])} == {"intercept.weight"}
    assert len(score_arm(fold, trained).unseen) == 1


def test_two_runs_of_a_study_do_not_share_what_sites_keep(tiny: Any, tmp_path: Path) -> None:
    settings = ["federation.strategy=scaffold", "training.rounds=2", "training.local_epochs=2"]
    (fold,) = make_folds(tiny.hospitals, override(tiny.study, settings), 20, None)
    first, second = (train_arm("federated", fold, tiny.hospitals, tmp_path / name).models for name in ("a", "b"))
    assert set(first) == {""}
    for name, array in first[""].arrays.items():
        assert array.tobytes() == second[""].arrays[name].tobytes()
    assert [len(list((tmp_path / name).rglob("control-*.safetensors"))) for name in ("a", "b")] == [6, 6]
