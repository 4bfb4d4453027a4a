"""Real patients of 18 hospitals, without a download."""

from pathlib import Path
from typing import Any

import pytest
from lifelines.datasets import load_lung

from shared.cohort.tables import read_clinical
from shared.site import read_site
from shared.study import read_study
from simulations.left_out_file import left_out_of
from simulations.lung_cohort import lung_table, write_lung
from simulations.ready import make_ready
from simulations.report.flow_figure import flow_rows
from simulations.simulate import Options, simulate
from simulations.studies import least_of, study_of

STUDY = Path(__file__).parents[2] / "simulations" / "studies" / f"{study_of('lung')}.toml"


def test_the_table_is_that_of_lifelines() -> None:
    table, nowhere = lung_table()
    raw = load_lung()
    assert (len(table), nowhere) == (227, 1)
    assert table["site"].nunique() == 18
    assert table["os_event"].sum() == raw.loc[raw["inst"].notna(), "status"].sum()
    first = raw.loc[raw["inst"].notna()].iloc[0]
    assert table.iloc[0]["os_months"] == pytest.approx(first["time"] / 30.4375, abs=1e-4)
    assert table.iloc[0]["age_at_diagnosis"] == first["age"]
    assert table["meal_cal"].isna().sum() == raw.loc[raw["inst"].notna(), "meal.cal"].isna().sum() > 0


def test_the_folder_is_written_once(tmp_path: Path) -> None:
    folder, notes = write_lung(tmp_path)
    before = (folder / "clinical.tsv").stat().st_mtime_ns
    again, _ = write_lung(tmp_path)
    assert again == folder
    assert (folder / "clinical.tsv").stat().st_mtime_ns == before
    assert notes[1] == "1 of 228 patients names no hospital and was left out."


def test_who_names_no_hospital_is_counted_as_left_out(tmp_path: Path) -> None:
    """Not a note alone: the flow of patients begins with all that the trial has."""
    assert left_out_of(write_lung(tmp_path)[0]) == {"no hospital is named": 1}
    ready = make_ready(read_study(STUDY), cohort="lung", cache=tmp_path, progress=lambda *_: None)
    assert ready.left_out == {"no hospital is named": 1}
    assert sum(len(read_clinical(hospital.folder / "data")) for hospital in ready.everyone) == 227


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    cache = tmp_path_factory.mktemp("lung")
    options = Options(
        read_study(STUDY),
        cohort="lung",
        min_site_patients=least_of("lung"),
        arms=("federated", "pooled"),
        out=cache / "run",
        cache=cache,
    )
    return simulate(options, lambda *_: None, lambda _: None)[1]


@pytest.mark.slow
def test_all_hospitals_train_and_nothing_is_called_synthetic(metrics: dict[str, Any]) -> None:
    assert len(metrics["cohort"]["sites"]) == 18
    assert metrics["cohort"]["patients"] == 227
    assert metrics["cohort"]["excluded"] == {"no hospital is named": 1}
    assert flow_rows(metrics)[:2] == [("cohort", "all", 228), ("left out", "no hospital is named", 1)]
    assert metrics["synthetic"] == []
    assert metrics["protocol"] == {"name": "patient-kfold", "folds": 5, "repeats": 1, "test_fraction": 0.3}
    assert metrics["arms"]["federated"]["own"]["c_index"]["n"] == 227  # everybody tests once


@pytest.mark.slow
def test_the_federation_is_as_good_as_pooled_cox(metrics: dict[str, Any]) -> None:
    """The bar: within .02 of the c-index of a penalised Cox model of all patients, on the same folds."""
    federated, cox = metrics["arms"]["federated"], metrics["baselines"]["linear_clinical"]
    assert federated["own"]["c_index"]["value"] >= cox["own"]["c_index"]["value"] - 0.02
    assert federated["own"]["c_index"]["low"] > 0.5


def test_site_files_say_that_few_patients_are_enough(tmp_path: Path) -> None:
    from simulations.hospitals import split_cohort

    hospitals = split_cohort(write_lung(tmp_path)[0], None, tmp_path / "hospitals")
    assert {read_site(hospital.site_file).disclosure.min_patients for hospital in hospitals} == {1}
