"""metrics.json of a whole run: every key of CONTRACT.md section 7."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from shared.metrics import Scored, metric_names
from simulations.results import risk_curves

pytestmark = pytest.mark.slow  # a whole simulation, which test_simulate.py looks at in the quick loop

V = {"value", "low", "high", "sd", "n", "events", "from", "reason"}
METRICS = set(metric_names("classification", 3, ordered=True))
TRAINING = {"02", "06", "HT"}


@pytest.fixture
def metrics(tiny_run: Any) -> dict[str, Any]:
    """As a reader of the file sees it."""
    content: dict[str, Any] = json.loads((tiny_run.folder / "metrics.json").read_text())
    return content


def test_the_file_is_what_the_command_returns(tiny_run: Any, metrics: dict[str, Any]) -> None:
    assert metrics == json.loads(json.dumps(tiny_run.metrics))


def test_top_level(metrics: dict[str, Any]) -> None:
    assert set(metrics) >= {
        "schema", "software", "seed", "synthetic", "study", "protocol", "cohort", "arms", "comparisons", "baselines",
        "privacy", "timing",
    }  # fmt: skip
    assert (metrics["schema"], metrics["seed"], metrics["synthetic"]) == (1, 0, [])
    assert set(metrics["software"]) >= {"mmfed", "flwr", "torch"}
    assert set(metrics["study"]) == {"name", "digest", "task", "architecture", "parameters"}
    assert metrics["study"]["parameters"] == 3 * (6 + 2) + 3  # genes and clinical columns a class, and intercepts
    assert metrics["protocol"] == {"name": "holdout", "folds": 1, "repeats": 2, "test_fraction": 0.3}
    assert set(metrics["timing"]) == {"prepare_s", "arms", "round_median_s"}
    assert set(metrics["timing"]["arms"]) == {"federated", "pooled", "local"}


def test_cohort(metrics: dict[str, Any]) -> None:
    cohort = metrics["cohort"]
    assert set(cohort) == {"patients", "excluded", "sites", "unseen"}
    assert (cohort["patients"], cohort["excluded"]) == (82, {})
    assert {name: site["patients"] for name, site in cohort["sites"].items()} == {"02": 25, "06": 24, "HT": 26}
    for site in cohort["sites"].values():
        assert set(site) == {"patients", "train", "test", "events", "classes", "modalities"}
        assert site["train"] + site["test"] == site["patients"] == sum(site["classes"].values())
        assert list(site["classes"]) == ["G2", "G3", "G4"]
        assert site["modalities"] == {"expression": site["patients"], "clinical": site["patients"]}
    assert (cohort["unseen"]["patients"], cohort["unseen"]["sites"]) == (7, 1)
    assert sum(cohort["unseen"]["classes"].values()) == 7


def test_arms(metrics: dict[str, Any]) -> None:
    assert list(metrics["arms"]) == ["federated", "pooled", "local"]
    tests = sum(site["test"] for site in metrics["cohort"]["sites"].values())
    for name, arm in metrics["arms"].items():
        assert set(arm) == {"own", "own_site_mean", "unseen", "sites", "without", "subsets", "rounds", "by_site"}
        for where in ("own", "own_site_mean", "unseen"):
            assert set(arm[where]) == METRICS
        assert set(arm["sites"]) == TRAINING
        assert arm["own"]["accuracy"]["n"] == arm["own_site_mean"]["accuracy"]["n"] == tests
        assert arm["unseen"]["accuracy"]["n"] == 7
        assert set(arm["without"]) == ({"expression", "clinical"} if name == "federated" else set())
        for part in arm["without"].values():
            assert set(part) == {"own", "unseen"}
        subsets = {"expression", "clinical", "expression+clinical"} if name == "federated" else set()
        assert set(arm["subsets"]) == subsets
        for part in arm["subsets"].values():
            assert set(part) == {"own", "unseen", "sites"}
            assert set(part["own"]) == set(part["unseen"]) == {"auc", "accuracy"}
            assert set(part["sites"]) == TRAINING
        assert [r["round"] for r in arm["rounds"]] == [1, 2, 3]
        assert all({"round", "loss", "sites"} <= set(r) for r in arm["rounds"])


def _values(found: Any) -> Iterator[dict[str, Any]]:
    """Every V anywhere in the file."""
    if isinstance(found, dict):
        if "reason" in found:
            yield found
        else:
            for part in found.values():
                yield from _values(part)


def test_every_value_is_complete_and_null_only_with_a_reason(metrics: dict[str, Any]) -> None:
    values = [v for part in ("arms", "baselines") for v in _values(metrics[part])]
    assert len(values) > 100
    for v in values:
        assert set(v) - {"sites"} == V  # of a mean over hospitals, how many
        assert v["from"] == "patients"
        assert v["n"] > 0
        if v["value"] is None:
            assert v["reason"]
            assert v["low"] is v["high"] is v["sd"] is None
        else:
            assert v["reason"] is None
            assert v["low"] <= v["high"]
    for arm in metrics["arms"].values():
        assert {v["sites"] for v in arm["own_site_mean"].values()} <= set(range(1, len(TRAINING) + 1))
        assert not any("sites" in v for v in arm["unseen"].values())
    own = metrics["arms"]["federated"]["own"]["accuracy"]
    assert own["low"] <= own["value"] <= own["high"]
    assert own["sd"] is not None  # there were two repeats


def test_comparisons_use_the_site_mean(metrics: dict[str, Any]) -> None:
    rows = metrics["comparisons"]
    assert {(r["a"], r["b"], r["where"], r["metric"]) for r in rows} == {
        ("federated", b, where, metric)
        for b in ("local", "pooled")
        for where in ("own_site_mean", "unseen")
        for metric in ("auc", "accuracy")
    }
    for row in rows:
        assert set(row) == {"a", "b", "where", "metric", "difference", "low", "high", "p", "p_holm"}
        assert 0 < row["p"] <= row["p_holm"] <= 1
        a, b = (metrics["arms"][row[arm]][row["where"]][row["metric"]]["value"] for arm in ("a", "b"))
        assert row["difference"] == pytest.approx(a - b)


def test_all_modalities_together_are_the_arm_itself(metrics: dict[str, Any]) -> None:
    arm = metrics["arms"]["federated"]
    for where in ("own", "unseen"):
        assert arm["subsets"]["expression+clinical"][where]["auc"] == arm[where]["auc"]


def test_every_arm_is_held_against_the_best_linear_floor(metrics: dict[str, Any]) -> None:
    rows = metrics["floors"]
    assert {(row["arm"], row["where"]) for row in rows} == {
        (arm, where) for arm in metrics["arms"] for where in ("own_site_mean", "unseen")
    }
    for row in rows:
        floors = {name: v[row["where"]]["auc"]["value"] for name, v in metrics["baselines"].items() if "linear" in name}
        assert row["floor"] == max(floors, key=lambda name: floors[name])
        assert row["metric"] == "auc"
        value = metrics["arms"][row["arm"]][row["where"]]["auc"]["value"]
        assert row["difference"] == pytest.approx(value - floors[row["floor"]])
        assert row["low"] <= row["difference"] <= row["high"]


def test_a_model_without_attention_has_none(metrics: dict[str, Any]) -> None:
    assert metrics["attention"] == {}


def test_floors_stand_beside_the_arms(metrics: dict[str, Any]) -> None:
    assert set(metrics["baselines"]) == {"site_alone", "linear_expression", "linear_clinical", "linear_all"}
    for floor in metrics["baselines"].values():
        assert set(floor["own"]) == set(floor["unseen"]) == METRICS
    unseen = metrics["baselines"]["site_alone"]["unseen"]["auc"]
    assert unseen["value"] == pytest.approx(0.5)  # nobody's hospital is known


def test_no_privacy_is_said_for_every_site(metrics: dict[str, Any]) -> None:
    off = {"mode": "off", "epsilon": None, "epsilon_replace_one": None, "delta": None}
    assert metrics["privacy"] == dict.fromkeys(TRAINING, off)


def test_the_z_scored_table_is_confessed(metrics: dict[str, Any]) -> None:
    assert any("z-scored over its whole cohort, test patients included" in note for note in metrics["notes"])


def test_risk_curves_split_at_the_median_risk() -> None:
    survival = np.array([[0.9, 0.8], [0.8, 0.7], [0.3, 0.2], [0.2, 0.1]])
    scored = Scored(
        "survival", survival, np.zeros(4, int), np.array([10.0, 20.0, 2.0, 4.0]), np.array([0, 1, 1, 1]),
        np.array(["A"] * 4), (12.0,),
    )  # fmt: skip
    low, high = risk_curves(scored)
    assert (low["group"], low["n"], low["events"]) == ("lower predicted risk", 2, 1)
    assert (high["group"], high["n"], high["events"]) == ("higher predicted risk", 2, 2)
    assert high["time"] == [0.0, 2.0, 4.0]
    assert high["survival"] == [1.0, 0.5, 0.0]
