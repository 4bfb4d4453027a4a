"""Real glioma patients of TCGA, with its own hospitals as sites."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from shared.study import read_study
from simulations.simulate import Options, simulate

COHORT = Path(__file__).parents[3] / "shared" / "data" / "tcga_gbmlgg"  # beside the checkout, never in it
LINEAR_SGD = ("model.architecture=linear", "training.optimizer=sgd", "training.weight_decay=1e-3")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not COHORT.is_dir(), reason="the TCGA tables are not beside the checkout"),
]


@pytest.fixture(scope="module")
def tcga(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """metrics.json of a packaged study on the TCGA tables."""
    cache = tmp_path_factory.mktemp("tcga")

    def run(study: str, *settings: str, **options: Any) -> dict[str, Any]:
        with files("simulations.studies").joinpath(study) as path:
            parsed = read_study(Path(str(path)))
        asked = Options(
            parsed, cohort=str(COHORT), split="tss", settings=settings, out=cache / study, cache=cache, **options
        )
        return simulate(asked, lambda what, done, total: None, lambda line: None)[1]

    return run


def test_idh_and_codel(tcga: Callable[..., dict[str, Any]]) -> None:
    """The floors of DATA.md's recipe: seven hospitals train, 28 others are never seen."""
    metrics = tcga("glioma_idh.toml", *LINEAR_SGD, "training.learning_rate=0.03", repeats=2)
    cohort = metrics["cohort"]
    assert set(cohort["sites"]) == {"HT", "DU", "S9", "06", "FG", "DB", "QH"}
    assert cohort["excluded"] == {"label missing": 3}
    assert sum(site["patients"] for site in cohort["sites"].values()) == 365
    assert (cohort["unseen"]["patients"], cohort["unseen"]["sites"]) == (201, 28)
    accuracy = {
        arm: {where: found[where]["accuracy"]["value"] for where in ("own", "own_site_mean", "unseen")}
        for arm, found in metrics["arms"].items()
    }
    assert accuracy["federated"]["own"] >= 0.93
    assert accuracy["federated"]["unseen"] >= 0.87
    assert accuracy["federated"]["unseen"] - accuracy["local"]["unseen"] >= 0.10
    assert accuracy["federated"]["own_site_mean"] - accuracy["local"]["own_site_mean"] >= 0.02
    assert abs(accuracy["federated"]["unseen"] - accuracy["pooled"]["unseen"]) <= 0.04
    gain = next(
        row for row in metrics["comparisons"]
        if (row["b"], row["where"], row["metric"]) == ("local", "unseen", "accuracy")
    )  # fmt: skip
    assert gain["low"] > 0
    assert metrics["baselines"]["site_alone"]["own"]["accuracy"]["value"] < 0.65
    assert metrics["baselines"]["linear_expression"]["unseen"]["accuracy"]["value"] > 0.85
    assert any("test patients included" in note for note in metrics["notes"])  # the table came z-scored


def test_grade_has_no_auc_where_all_patients_have_one_grade(tcga: Callable[..., dict[str, Any]]) -> None:
    metrics = tcga("glioma_grade.toml", "training.rounds=3", arms=("federated",))
    assert metrics["cohort"]["excluded"] == {"label missing": 55}
    site = metrics["cohort"]["sites"]["06"]
    assert site["classes"] == {"G2": 0, "G3": 0, "G4": site["patients"]}
    auc = metrics["arms"]["federated"]["sites"]["06"]["auc"]
    assert (auc["value"], auc["reason"]) == (None, "one class")
    assert auc["n"] == site["test"]
    assert metrics["arms"]["federated"]["sites"]["DU"]["auc"]["value"] is not None


def test_survival_counts_patients_and_deaths(tcga: Callable[..., dict[str, Any]]) -> None:
    metrics = tcga("glioma_survival.toml")
    sites, unseen = metrics["cohort"]["sites"], metrics["cohort"]["unseen"]
    assert set(sites) == {"HT", "DU", "S9", "06", "FG", "DB", "QH"}
    assert sum(site["patients"] for site in sites.values()) == 366
    assert (unseen["patients"], unseen["sites"], metrics["cohort"]["excluded"]) == (203, 28, {})
    assert all(0 < site["events"] <= site["patients"] for site in sites.values())
    c_index = {arm: found["unseen"]["c_index"]["value"] for arm, found in metrics["arms"].items()}
    assert c_index["federated"] > metrics["baselines"]["age_alone"]["unseen"]["c_index"]["value"]
    assert c_index["federated"] - c_index["local"] > 0.02
    assert metrics["arms"]["federated"]["own"]["c_index_within_site"]["value"] > 0.6
    assert {"site_alone", "linear_expression", "linear_clinical", "linear_all"} <= set(metrics["baselines"])
    curves = metrics["curves"]["kaplan_meier"]["unseen"]["federated"]
    assert sum(curve["n"] for curve in curves) == unseen["patients"]
