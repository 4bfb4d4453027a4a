"""The signature of a fold and of a whole run, on small cohorts of tables."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from shared.study import Study
from simulations.arms import Trained, train_arm
from simulations.fold import Fold
from simulations.results import RunRecord
from simulations.simulate import Options, simulate
from simulations.site_signature.measure import Measurable, measurable, measure_signature, with_gap
from simulations.training import name_hospitals

KEYS = {
    "what", "modality", "when", "correction", "n", "sites", "left_out", "auc", "low", "high", "balanced_accuracy",
    "chance", "within_class_auc", "within_class_low", "within_class_high", "null", "null_highest", "reason",
}  # fmt: skip


@pytest.fixture(scope="module")
def shifted(make_cohort: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The genes of each of four hospitals are shifted by some of their spreads, each in a direction of its own."""
    folder = make_cohort(
        tmp_path_factory.mktemp("shifted") / "cohort", {"02": 40, "06": 40, "HT": 40, "QQ": 18, "ZZ": 3}, genes=12
    )
    table = pd.read_csv(folder / "expression.tsv", sep="\t", index_col=0)
    sites = [case.split("-")[1] for case in table.columns]
    shift = {site: np.random.default_rng(i).normal(0, 2, 12) for i, site in enumerate(sorted(set(sites)))}
    table += np.stack([shift[site] for site in sites], axis=1)
    table.round(3).to_csv(folder / "expression.tsv", sep="\t", index_label="gene_symbol")
    return folder


def rows_of(signature: Mapping[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {(row["modality"], row["when"], row["correction"]): row for row in signature["rows"]}


@pytest.mark.slow
def test_a_run_measures_every_modality_the_embedding_and_the_predictions(
    shifted: Path, make_study: Callable[..., Study], tmp_path: Path
) -> None:
    options = Options(
        make_study(), cohort=str(shifted), arms=("federated",), out=tmp_path / "out", cache=tmp_path / "cache"
    )
    folder, metrics = simulate(options, lambda what, done, total: None, lambda line: None)
    signature = metrics["signature"]
    tests = sum(site["test"] for site in metrics["cohort"]["sites"].values())
    # half of the 18 unseen patients of one hospital is measured, the three of the other are too few
    assert (signature["n"], signature["sites"], signature["left_out"]) == (tests + 9, 4, 3)
    rows = rows_of(signature)
    assert set(rows) == {
        *((name, "frozen", kind) for name in ("expression", "clinical") for kind in ("none", "site_scale", "combat")),
        ("all", "before", "none"),
        *(("all", "after", kind) for kind in ("none", "site_scale", "combat")),
    }
    assert all(set(row) == KEYS for row in signature["rows"])
    assert len(signature["rows"]) == len(rows) + 1  # predictions stand beside the embedding
    plain, scaled = rows["expression", "frozen", "none"], rows["expression", "frozen", "site_scale"]
    assert plain["auc"] > 0.95
    assert plain["within_class_auc"] > 0.9
    assert plain["auc"] - scaled["auc"] > 0.15
    assert scaled["null"] > 0.55  # the error that a fit on so few patients leaves
    assert abs(scaled["auc"] - scaled["null"]) < 0.15
    assert abs(rows["clinical", "frozen", "none"]["auc"] - 0.5) < 0.2
    gap, arm = signature["gap"], metrics["arms"]["federated"]
    assert gap["metric"] == "auc"
    assert gap["own"] == arm["own_site_mean"]["auc"]
    assert gap["difference"] == pytest.approx(arm["own_site_mean"]["auc"]["value"] - arm["unseen"]["auc"]["value"])
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Does the model know the hospital?" in page
    assert "TCGA-" not in json.dumps(signature)


def people_of(tiny: Any, **changes: Any) -> Measurable:
    (fold,) = tiny.folds(**changes)
    return measurable(fold)


def test_nobody_is_measured_who_trained_or_was_fitted_on(tiny: Any) -> None:
    (fold,) = tiny.folds()
    people = measurable(fold)
    trained = {case for site in fold.training for case in fold.train(site, None).case_id}
    measured, reference = set(people.measured.case_id.tolist()), set(people.reference.case_id.tolist())
    assert not measured & (trained | reference)
    assert set(people.reference.case_id[people.labelled].tolist()) == trained
    assert set(people.measured.site.tolist()) == {"02", "06", "HT"}  # four of the seven unseen patients are too few
    assert people.left_out == 7


def test_only_patients_with_the_modality_are_compared(tiny: Any) -> None:
    people = people_of(tiny)
    assert len(people.with_modality("expression").measured) == len(people.measured)
    gone = Measurable(people.measured.only(()), people.reference, people.labelled, 0)
    assert len(gone.with_modality("expression").measured) == 0


def test_survival_is_compared_within_the_outcome(
    shifted: Path, make_study: Callable[..., Study], make_prepared: Callable[..., Any], tmp_path: Path
) -> None:
    study = make_study('task={kind="survival", time_edges=[10, 20, 40]}')
    prepared = make_prepared(shifted, study, tmp_path / "cache")
    (fold,) = prepared.folds()
    trained = train_arm("pooled", fold, prepared.hospitals, tmp_path / "checkpoints")
    signature = measure_signature(fold, trained)
    assert signature["classes"] == "the same outcome (died, or not seen to)"
    assert rows_of(signature)["expression", "frozen", "none"]["within_class_auc"] > 0.9


def test_one_hospital_alone_has_no_signature(tiny: Any, tmp_path: Path) -> None:
    (fold,) = tiny.folds()
    alone = Fold(fold.study, {"02": fold.sites["02"]}, ("02",))
    assert measure_signature(alone, train_arm("pooled", alone, tiny.hospitals, tmp_path)) == {}


def test_a_model_that_gives_no_numbers_costs_no_run(tiny: Any, tmp_path: Path) -> None:
    (fold,) = tiny.folds()
    trained = train_arm("pooled", fold, tiny.hospitals, tmp_path)
    broken = {name: np.full_like(array, np.nan) for name, array in trained.models[""].arrays.items()}
    model = type(trained.models[""])(broken, trained.models[""].statistics)
    record = RunRecord()
    name_hospitals(fold, Trained({"": model}, 0.0), record)
    assert record.signature == {}
    assert record.notes == ["How well the hospital can be told could not be measured (ValueError) and is left out."]


def test_the_gap_joins_two_intervals() -> None:
    own = {"value": 0.9, "low": 0.87, "high": 0.93}
    unseen = {"value": 0.8, "low": 0.76, "high": 0.84}
    study = {"task": "classification"}
    gap = with_gap(
        {}, {"study": study, "arms": {"federated": {"own_site_mean": {"auc": own}, "unseen": {"auc": unseen}}}}
    )["gap"]
    assert gap["difference"] == pytest.approx(0.1)
    assert (gap["low"], gap["high"]) == pytest.approx((0.05, 0.15))  # .03 and .04 make .05
    nobody = with_gap({}, {"study": study, "arms": {"federated": {"own_site_mean": {"auc": own}}}})["gap"]
    assert (nobody["unseen"], nobody["difference"]) == (None, None)
