"""The model card says what a reader must know, and nothing that was not measured."""

from typing import Any

from shared.model_card import model_card
from shared.study import Study, parse_study
from tests.federation import CONTENT, tiny_study

STUDY = tiny_study()


def v(value: float | None, low: float | None = None, high: float | None = None, **more: Any) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": 50, "events": None, "reason": None, **more}


def metrics_of(study: Study = STUDY, **more: Any) -> dict[str, Any]:
    return {
        "study": {"parameters": 24, "digest": study.digest},
        "software": {"mmfed": "0.1.0"},
        "inputs": {"encoders": {}, "untrained": []},
        "privacy": {"A": {"mode": "off", "epsilon": None}},
        "arms": {"federated": {"own": {"auc": v(0.8, 0.7, 0.9), "accuracy": v(None, reason="one class")}}},
        **more,
    }


def test_a_deployment_in_buckets_and_without_intervals() -> None:
    sites = {"A": {"buckets": {"clinical": "10-19", "fusion": "20-49"}}, "a site (1)": {"buckets": {"fusion": "<10"}}}
    card = model_card(STUDY, metrics_of(sites=sites))
    assert "| A | none | 10-19 | 20-49 |" in card
    assert "| a site (1) | none | none | <10 |" in card
    assert "From merged counts of the hospitals" in card
    assert f"digest `{STUDY.digest}`" in card
    assert "classification of grade: G2, G3, G4" in card
    assert "Research use only" in card
    assert "Not measured on patients of hospitals that took no part." in card


def test_figures_come_with_their_interval_or_their_reason() -> None:
    card = model_card(STUDY, metrics_of())
    assert "| AUC | 0.800 (0.700 to 0.900) |" in card
    assert "| Accuracy | – (one class) |" in card


def test_a_better_linear_floor_is_named() -> None:
    floors = {"linear_expression": {"own": {"auc": v(0.85)}}, "site_alone": {"own": {"auc": v(0.99)}}}
    card = model_card(STUDY, metrics_of(baselines=floors))
    assert "**A linear model is better here:** linear expression (own test patients)." in card
    assert "site alone" not in card
    floors["linear_expression"]["own"]["auc"] = v(0.79)
    assert "better here" not in model_card(STUDY, metrics_of(baselines=floors))


def test_every_subset_and_the_worst_hospital() -> None:
    metrics = metrics_of()
    arm = metrics["arms"]["federated"]
    arm["subsets"] = {"expression": {"own": {"auc": v(0.7)}, "unseen": {"auc": v(0.65)}}}
    arm["sites"] = {"A": {"auc": v(0.9)}, "B": {"auc": v(0.6)}, "C": {"auc": v(None, reason="one class")}}
    card = model_card(STUDY, metrics)
    assert "| expression | 0.700 | 0.650 |" in card
    assert "Worst: B, 0.600. Best: A, 0.900." in card
    assert "| C | 50 | – (one class) |" in card


def test_epsilon_of_each_site_or_not_private() -> None:
    assert "**NOT PRIVATE: trained without differential privacy.**" in model_card(STUDY, metrics_of())
    private = {"A": {"mode": "local", "epsilon": 2.5, "delta": 1e-5}, "B": {"mode": "off", "epsilon": None}}
    card = model_card(STUDY, metrics_of(privacy=private))
    assert "| A | 2.50 | 1e-05 |" in card
    assert "| B | NOT PRIVATE |" in card


def test_limits_of_few_events_and_untrained_branches() -> None:
    study = parse_study({**CONTENT, "task": {"kind": "survival"}})
    arms = {"federated": {"own": {"c_index": v(0.6, n=40, events=12)}}}
    metrics = metrics_of(study, arms=arms, notes=["The table came z-scored."])
    metrics["inputs"] = {"encoders": {}, "untrained": ["expression"]}
    card = model_card(study, metrics)
    assert "- The table came z-scored." in card
    assert "- Only 12 events among the own test patients" in card
    assert "- Only 40 own test patients" in card
    assert "- Too few hospitals had expression: its branch was never trained" in card
    assert "survival in time bins that end after 12, 24, 60 months" in card
    assert "Not examined: differences by age, sex, ancestry" in card
    assert "Not examined: differences by ancestry" in model_card(study, metrics | {"fairness": {"federated": {}}})


def test_encoders_and_genes_with_their_hashes() -> None:
    slides = {"slides": {"dim": 1280, "weights": "random"}, "expression": STUDY.content()["modalities"]["expression"]}
    study = tiny_study(modalities=slides, model={"architecture": "s1_crossattn"})
    metrics = metrics_of(study, inputs={"encoders": {"slides": "a" * 64}, "untrained": []})
    card = model_card(study, metrics)
    assert f"encoder mobilenet_v2, weights SHA-256 `{'a' * 64}`" in card
    assert f"gene list SHA-256 `{slides['expression']['genes_sha256']}`" in card
    assert "The encoder of slides had random weights" in card


def test_a_detector_carries_its_licence_note() -> None:
    content = {"schema": 1, "name": "boxes", "task": {"kind": "detection"}, "modalities": {"imaging": {}}}
    study = parse_study({**content, "model": {"architecture": "yolo", "network": "yolov5n"}})
    metrics = metrics_of(study, arms={"federated": {"own": {"map50": v(0.7)}}})
    card = model_card(study, metrics)
    assert "AGPL-3.0" in card
    assert "| mAP@.5 | 0.700 |" in card
    assert "AGPL" not in model_card(STUDY, metrics_of())


def test_further_heads_are_named_though_a_deployment_does_not_score_them() -> None:
    head = {"name": "death", "weight": 0.5, "task": {"kind": "survival", "time_edges": [12.0, 36.0]}}
    study = parse_study({**CONTENT, "heads": [head]})
    metrics = metrics_of(study)
    card = model_card(study, metrics)
    assert "| Further head `death` | survival in time bins that end after 12, 36 months; risk: higher" in card
    assert "weight 0.5 |" in card
    assert "| death | – | not measured | not measured |" in card
    assert "| death |" in model_card(study, metrics_of(study, arms={"federated": {}}))
    metrics["arms"]["federated"]["heads"] = {"death": {"own": {"c_index": v(0.7)}, "unseen": {}}}
    assert "| death | c-index | 0.700 | – |" in model_card(study, metrics)
    assert "Further head" not in model_card(STUDY, metrics_of())


def test_a_run_without_any_score_says_so() -> None:
    assert "Not measured: no hospital let test statistics leave" in model_card(
        STUDY, metrics_of(arms={"federated": {}})
    )


def test_hospitals_that_were_left_out_in_turn_are_told_as_they_were_then() -> None:
    arm = {
        "own": {"auc": v(0.8)},
        "sites": {"A": {"auc": v(0.9)}, "B": {"auc": v(0.8)}},
        "unseen_sites": {"A": {"auc": v(0.6)}, "B": {"auc": v(0.7)}},
    }
    protocol = {"name": "leave-one-site-out", "folds": 2, "repeats": 1}
    card = model_card(STUDY, metrics_of(arms={"federated": arm}, protocol=protocol))
    assert "### Between hospitals (AUC, each when it was left out)\n\nWorst: A, 0.600. Best: B, 0.700." in card
    assert "Means over 1 repeat of 2 folds" in card


def test_one_hospital_is_neither_worst_nor_best() -> None:
    sites = {"A": {"auc": v(0.9)}, "B": {"auc": v(None, reason="one class")}}
    card = model_card(STUDY, metrics_of(arms={"federated": {"own": {"auc": v(0.8)}, "sites": sites}}))
    assert "Scored at one hospital of 2 only." in card
    assert "Worst" not in card
