"""Further strategies beside the study's own: each is the run one would have by itself, on the same patients."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import simulations.training as module
from shared.errors import BadInput, WorkFailed
from shared.study import Study
from simulations.adapt import override
from simulations.private_settings import private_settings
from simulations.simulate import Options, simulate
from simulations.strategies import strategy_faults

PLACES = ("own", "own_site_mean", "unseen")


def run(study: Study, cohort: Path, root: Path, name: str, **changes: Any) -> dict[str, Any]:
    options = Options(study, cohort=str(cohort), out=root / name, cache=root / "cache", **{"repeats": 2, **changes})
    return simulate(options, lambda what, done, total: None, lambda line: None)[1]


@pytest.mark.slow
def test_a_strategy_reaches_what_it_reaches_alone(
    tiny_cohort: Path, make_study: Callable[..., Study], tmp_path: Path
) -> None:
    both = run(make_study(), tiny_cohort, tmp_path, "both", arms=("federated",), strategies=("fedprox", "fedadam"))
    alone = run(make_study("federation.strategy=fedadam"), tiny_cohort, tmp_path, "alone", arms=("federated",))
    found = both["strategies"]
    assert found["reference"] == "fedavg"
    assert list(found["reached"]) == ["fedavg", "fedprox", "fedadam"]
    fedavg, adam = both["arms"]["federated"], alone["arms"]["federated"]
    assert [found["reached"]["fedadam"][place] for place in PLACES] == [adam[place] for place in PLACES]
    assert [found["reached"]["fedavg"][place] for place in PLACES] == [fedavg[place] for place in PLACES]
    assert adam["unseen"]["auc"] != fedavg["unseen"]["auc"]
    assert found["reached"]["fedadam"]["loss"] == [round_["loss"] for round_ in adam["rounds"]]
    assert found["reached"]["fedprox"]["options"] == {"proximal_mu": 0.01}
    rows = {(row["a"], row["where"], row["metric"]): row for row in found["comparisons"]}
    assert len(rows) == 2 * 2 * 2  # strategies, places, main metrics
    difference = adam["unseen"]["auc"]["value"] - fedavg["unseen"]["auc"]["value"]
    row = rows["fedadam", "unseen", "auc"]
    assert row["difference"] == pytest.approx(difference)
    assert row["low"] <= difference <= row["high"]
    assert all(row["p"] <= row["p_holm"] <= 1 for row in rows.values())
    assert set(both["timing"]["arms"]) == {"federated", "fedprox", "fedadam"}
    assert "strategies" not in alone


@pytest.mark.slow
def test_a_strategy_that_fails_takes_no_other_with_it(
    tiny_cohort: Path, make_study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = module.train_arm

    def failing(arm: str, fold: Any, *rest: Any) -> Any:
        if fold.study.federation.strategy == "fedprox" and fold.study.split.repeat == 1:
            raise WorkFailed("the loss is not a number")
        return train(arm, fold, *rest)

    monkeypatch.setattr(module, "train_arm", failing)
    names = ("fedprox", "fedbn_is_none", "fedadam")
    with pytest.raises(BadInput, match="got fedbn_is_none; "):
        run(make_study(), tiny_cohort, tmp_path, "wrong", strategies=names)
    found = run(make_study(), tiny_cohort, tmp_path, "run", arms=("federated",), strategies=("fedprox", "fedadam"))
    assert list(found["strategies"]["reached"]) == ["fedavg", "fedadam"]
    assert {row["a"] for row in found["strategies"]["comparisons"]} == {"fedadam"}
    assert "The strategy fedprox failed and is left out: the loss is not a number" in found["notes"]


@pytest.mark.slow
def test_strategies_without_a_federated_arm_are_left_out_and_told(
    tiny_cohort: Path, make_study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = module.train_arm

    def failing(arm: str, fold: Any, *rest: Any) -> Any:
        if arm == "federated" and fold.study.federation.strategy == "fedavg" and fold.study.split.repeat == 1:
            raise WorkFailed("the loss is not a number")
        return train(arm, fold, *rest)

    monkeypatch.setattr(module, "train_arm", failing)
    found = run(make_study(), tiny_cohort, tmp_path, "run", arms=("federated", "local"), strategies=("fedadam",))
    assert "strategies" not in found
    assert "Without a federated arm the strategies fedadam are held against nothing." in found["notes"]
    assert list(found["timing"]["arms"]) == ["local"]


@pytest.mark.slow
def test_no_comparison_of_survival_counts_twice(
    tiny_cohort: Path, make_study: Callable[..., Study], tmp_path: Path
) -> None:
    survival = make_study("task.kind=survival", "training.rounds=2")
    found = run(survival, tiny_cohort, tmp_path, "run", arms=("federated", "local"), strategies=("fedadam",))
    for rows in (found["comparisons"], found["strategies"]["comparisons"]):
        assert [(row["where"], row["metric"]) for row in rows] == [
            (
                "own_site_mean",
                "c_index_within_site",
            ),  # the mean of their c-indices leaves out hospitals with few deaths
            ("unseen", "c_index"),
            ("unseen", "c_index_within_site"),
        ]


@pytest.mark.slow
def test_private_strategies_have_a_report(tiny_cohort: Path, make_study: Callable[..., Study], tmp_path: Path) -> None:
    study = override(make_study(), private_settings(make_study(), 8.0))
    found = run(study, tiny_cohort, tmp_path, "run", repeats=1, arms=("federated",), strategies=("fedprox",))
    assert all(part["loss"] == [] for part in found["strategies"]["reached"].values())  # a private site tells none
    assert any("further strategies (fedprox) have differential privacy too" in note for note in found["notes"])
    assert "Strategies of aggregation" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("settings", "names", "arms", "said"),
    [
        ((), ("scafold",), ("federated",), "got scafold; write scaffold"),
        (
            ("training.optimizer=adamw",),
            ("scaffold",),
            ("federated",),
            "does not go with this study: training.optimizer: ",
        ),
        ((), ("fedavg",), ("federated",), "expected others than the study's own, got fedavg; name one or leave it out"),
        ((), ("fedprox",), ("local", "pooled"), "expected the arm federated, which others are held against, got local"),
        ((), ("fedmedian", "krum"), ("federated",), None),
        ((), (), ("local",), None),
    ],
)
def test_faults_are_told_before_any_work(
    make_study: Callable[..., Study],
    settings: tuple[str, ...],
    names: tuple[str, ...],
    arms: tuple[str, ...],
    said: str | None,
) -> None:
    faults = strategy_faults(make_study(*settings), names, arms)
    assert len(faults) == (said is not None)
    assert not faults or said in faults[0]
