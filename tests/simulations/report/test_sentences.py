from collections.abc import Callable
from typing import Any

import pytest

from simulations.report.sentences import against_floor, headline, hospitals, ranking, trained
from simulations.report.words import joined, main_metrics, number, spread, task_kind

Make = Callable[[str], dict[str, Any]]


def compared(metrics: dict[str, Any], low: float | None, high: float | None) -> dict[str, Any]:
    row = {"a": "federated", "b": "local", "where": "unseen", "metric": "auc", "difference": 0.1}
    return {**metrics, "comparisons": [{**row, "low": low, "high": high}]}


@pytest.mark.parametrize(
    ("low", "high", "title"),
    [
        (0.05, 0.15, "Training together helped"),
        (-0.01, 0.15, "No clear difference between training together and alone"),
        (-0.2, -0.1, "Training together did worse than training alone"),
        (None, None, "Federated beside local training"),
    ],
)
def test_the_title_follows_the_interval(low: float | None, high: float | None, title: str, metrics_of: Make) -> None:
    assert headline(compared(metrics_of("classification"), low, high))[0] == title


def test_headline_names_both_places_and_pooling(metrics_of: Make) -> None:
    _, text = headline(metrics_of("classification"))
    for part in (
        "never took part",
        "(95 % interval 0.087–0.187)",
        "held-out patients of the training hospitals",
        "Pooling",
    ):
        assert part in text


def test_headline_without_a_federated_arm(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    del metrics["arms"]["federated"]
    title, text = headline(metrics)
    assert title == "Results"
    assert "pooled 0." in text
    assert "local 0." in text


def test_ranking_puts_the_best_first_and_leaves_nulls_out(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    metrics["baselines"]["ridge_cox"] = {"unseen": {"auc": {"value": 0.99}}}
    text = ranking(metrics)
    assert text.startswith("Highest first, AUC, unseen hospitals: Ridge Cox 0.990, ")
    assert "Hospital alone" not in text


def test_ranking_of_one_is_nothing(metrics_of: Make) -> None:
    assert ranking({"arms": {"federated": metrics_of("classification")["arms"]["federated"]}}) == ""


def test_trained_paragraph(metrics_of: Make) -> None:
    study = {"task": {"column": "grade"}, "modalities": {"slides": {}, "blood": {}}, "training": {"rounds": 3}}
    assert trained(metrics_of("classification"), study) == (
        "The model s1_crossattn with 1,284,611 parameters, reading slides and blood, was trained to predict grade in 3 "
        "rounds by 8 hospitals with 323 patients, 226 of them for training. A further 46 patients of 4 hospitals were "
        "never trained on."
    )


def test_survival_is_known_by_its_metrics(metrics_of: Make) -> None:
    assert task_kind(metrics_of("survival")) == "survival"
    assert main_metrics(metrics_of("survival")) == ("c_index", "c_index_within_site")
    assert main_metrics(metrics_of("classification")) == ("auc", "accuracy")


def test_figures_as_text() -> None:
    assert number(None) == "–"
    assert number(-0.0123) == "−0.012"
    assert spread({"low": 0.1, "high": 0.2}) == "0.100–0.200"
    assert spread({"low": -0.1, "high": 0.2}, 1) == "−0.1 to 0.2"
    assert spread({"low": None, "high": 0.2}) == ""


def test_lists_as_text() -> None:
    assert joined(["a"]) == "a"
    assert joined(["a", "b", "c"]) == "a, b and c"
    assert [hospitals(n) for n in (1, 4, ["x", "y"], None)] == [
        "1 hospital",
        "4 hospitals",
        "2 hospitals",
        "other hospitals",
    ]


def test_a_linear_floor_above_an_arm_is_said_for_every_arm_that_loses(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    metrics["baselines"]["linear_all"] = {"unseen": {"auc": {"value": 0.9}}, "own_site_mean": {"auc": {"value": 0.8}}}
    rows = [("federated", -0.07, -0.12, -0.02), ("local", -0.2, -0.3, -0.1), ("pooled", -0.01, -0.05, 0.03)]
    metrics["floors"] = [
        {"arm": a, "floor": "linear_all", "where": "unseen", "metric": "auc", "difference": d, "low": low, "high": high}
        for a, d, low, high in rows
    ] + [{"arm": "federated", "floor": "linear_all", "where": "own_site_mean", "metric": "auc", "difference": 0.05,
          "low": 0.01, "high": 0.1}]  # fmt: skip
    assert against_floor(metrics) == [
        "On patients of hospitals that never took part, the best linear model of the pooled patients (Linear, all "
        "modalities, AUC 0.900) is above federated by 0.070 (95 % interval 0.020–0.120), local by 0.200 (95 % interval "
        "0.100–0.300) and pooled by 0.010 (95 % interval −0.030 to 0.050, not a clear difference)."
    ]
    metrics["baselines"]["random_forest"] = metrics["baselines"]["linear_all"]
    metrics["floors"] = [{**row, "floor": "random_forest"} for row in metrics["floors"]]
    assert "the best classical model of the pooled patients (Random forest, AUC 0.900)" in against_floor(metrics)[0]


def test_survival_on_own_patients_is_told_within_sites(metrics_of: Make) -> None:
    metrics = metrics_of("survival")
    within = metrics["arms"]["federated"]["own_site_mean"]["c_index_within_site"]["value"]
    assert f"training hospitals, c-index within sites: federated {number(within)}" in headline(metrics)[1]
    for arm in metrics["arms"].values():
        del arm["unseen"]
    assert f"the federated model reaches c-index within sites {number(within)}" in headline(metrics)[1]
    assert ranking(metrics).startswith("Highest first, c-index within sites, own patients: ")


def test_a_private_arm_is_told_from_those_that_are_not(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    assert "private" not in headline(metrics)[1]
    metrics["privacy"] = {"A": {"mode": "local", "epsilon": 3.991}, "B": {"mode": "local", "epsilon": 2.0}}
    assert headline(metrics)[1].endswith(
        "Federated training was private (epsilon 4.00); Pooled and Local are not, so that differences hold what "
        "privacy costs."
    )


def test_of_patient_kfold_no_fold_stands_for_all(metrics_of: Make) -> None:
    metrics = metrics_of("classification")
    metrics["protocol"] |= {"name": "patient-kfold", "folds": 5}
    text = trained(metrics, {})
    assert "each patient tested in one of 5 folds" in text
    assert "for training" not in text
