"""From a feature store to a site's patients."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from client.prepare.preparation import prepare
from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.load import SitePatients, load_patients
from shared.cohort.normalise import GeneStatistics
from shared.cohort.store import FeatureStore
from shared.errors import Refused
from shared.site import read_site
from shared.study import Study, parse_study

GROUPS = {"g": ["EGFR", "TP53"]}
OTHER_GENES = "".join(f"OTHER{i}\t1\t2\t3\t4\n" for i in range(20))  # so that the outliers are few
FILES = {
    "clinical.tsv": (
        "case_id\tage_at_diagnosis\tgrade\tdead\tside\nP1\t60\tG2\t1\tleft\nP2\t40\tG2\t0\t\n"
        "P3\t50\tG3\t\tright\nP4\t70\tG3\t0\tright\nP5\t\tG3\t1\t\nP6\t55\t\t1\tleft\nP7\t45\tG3\t0\tleft\n"
    ),
    "expression.tsv": "gene_symbol\tP1\tP2\tP3\tP5\nEGFR\t3\t-40\t90\t1\nTP53\t1\t2\t\t4\n" + OTHER_GENES,
    "mutations.tsv": "case_id\tIDH1\nP1\t1\nP4\t1\n",
}


HEADS: list[dict[str, Any]] = [
    {"name": "age", "task": {"kind": "survival", "time_column": "age_at_diagnosis", "event_column": "dead"}},
    {"name": "side", "task": {"kind": "classification", "column": "side", "classes": ["left", "right"]}},
]


def study_of(groups: Mapping[str, Any] = GROUPS, **expression: Any) -> Study:
    return parse_study(
        {
            "schema": 1,
            "name": "s",
            "task": {"kind": "classification", "column": "grade", "classes": ["G2", "G3"]},
            "model": {"architecture": "linear"},
            "modalities": {
                "expression": {"groups": groups, "aux": ["mutations"], "aux_columns": ["mutations:IDH1"], **expression},
                "clinical": {"columns": ["age_at_diagnosis"]},
            },
            "split": {"test_fraction": 0.0},
        }
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Seven patients: P4 and P7 without expression, P5 without age, P6 without grade."""
    folder = tmp_path_factory.mktemp("A")
    (folder / "data").mkdir()
    for name, text in FILES.items():
        (folder / "data" / name).write_text(text)
    (folder / "site.toml").write_text('schema = 1\n[site]\nid = "A"\n[expression]\nscale = "z"\n')
    site, settings = read_site(folder / "site.toml"), PrepareSettings.of(study_of())
    prepare(site, settings)
    return FeatureStore.open(store_folder(site, settings))


@pytest.fixture(scope="module")
def loaded(store: FeatureStore) -> SitePatients:
    return load_patients(store, study_of(), "z")


def test_a_patient_without_the_label_is_left_out_and_counted(loaded: SitePatients) -> None:
    assert loaded.patients.case_id.tolist() == ["P1", "P2", "P3", "P4", "P5", "P7"]
    assert sum(loaded.excluded.values()) == 1
    assert loaded.patients.y.tolist() == [0, 0, 1, 1, 1, 1]
    assert loaded.strata.tolist() == [0, 0, 1, 1, 1, 1]
    assert set(loaded.patients.site) == {"A"}
    assert not any(loaded.encoders.values())
    assert loaded.stain == ""


def test_presence_and_values(loaded: SitePatients) -> None:
    patients = loaded.patients
    assert patients.modalities == ("expression", "clinical")
    assert patients.present[:, 0].tolist() == [1, 1, 1, 0, 1, 0]
    assert patients.present[:, 1].tolist() == [1, 1, 1, 1, 0, 1]
    # z-scores are clipped to -10 ... 10 before any sum
    np.testing.assert_array_equal(patients.expression, [[3, 1], [-10, 2], [10, 0], [0, 0], [1, 4], [0, 0]])
    np.testing.assert_array_equal(patients.clinical[:, 0], [1, -1, 0, 2, 0, -0.5])
    assert [bag.shape for bag in patients.bags] == [(0, 0)] * 6


def test_sums_are_of_training_patients(loaded: SitePatients) -> None:
    np.testing.assert_array_equal(loaded.train_sums, [[4, 3], [4, 7], [210, 21]])
    np.testing.assert_array_equal(loaded.sums(4), [[4, 0], [4, 0], [210, 0]])
    np.testing.assert_array_equal(loaded.sums(5), np.zeros((3, 2)))


def test_sums_leave_test_patients_out(store: FeatureStore) -> None:
    half = study_of().model_copy(update={"split": study_of().split.model_copy(update={"test_fraction": 0.5})})
    loaded = load_patients(store, half, "z")
    train = loaded.patients.take(~loaded.test)
    assert loaded.test.sum() == 1 + 2
    np.testing.assert_array_equal(loaded.train_sums[0], train.expression_observed.sum(0))


def test_values_are_normalised_as_the_study_says(store: FeatureStore, loaded: SitePatients) -> None:
    given = GeneStatistics(np.array([[1.0, 1.0], [2.0, 1.0]]))
    expected = {
        "federated": [[1, 0], [-5, 1], [4.5, 0], [0, 0], [0, 3], [0, 0]],
        # mean and sd of EGFR: 1 and sqrt(210/4 - 1); of TP53: 7/3 and sqrt(21/3 - 49/9)
        "site": GeneStatistics.merge([loaded.train_sums], 2).apply(
            loaded.patients.expression, loaded.patients.expression_observed, 5.0
        ),
        # two genes: quantiles 1/4 and 3/4; one gene: 1/2
        "rank": np.array([[1, -1], [-1, 1], [0, 0], [0, 0], [-1, 1], [0, 0]]) * 0.6744898,
    }
    for normalise, values in expected.items():
        found = loaded.normalised(study_of(normalise=normalise), given).expression
        np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-6, err_msg=normalise)
    own = loaded.normalised(study_of(), None).expression
    np.testing.assert_allclose(own, expected["site"], rtol=1e-6)
    assert own[1, 0] == pytest.approx(-11 / np.sqrt(51.5), rel=1e-5)


def test_a_store_of_another_vocabulary_is_refused(store: FeatureStore) -> None:
    with pytest.raises(
        Refused, match="expected the columns of the study, got a store for others; run `prepare`"
    ) as caught:
        load_patients(store, study_of({"g": ["EGFR", "IDH1"]}), "z")
    assert caught.value.code == "GENES_MISMATCH"


def test_further_labels_leave_nobody_out(store: FeatureStore) -> None:
    study = parse_study({**study_of().content(), "heads": HEADS})
    patients = load_patients(store, study, "z").patients
    assert patients.case_id.tolist() == ["P1", "P2", "P3", "P4", "P5", "P7"]  # P6 lacks the main task's label
    # P3 lacks the event, P5 the time; 40 and 45 months are in the third bin, 60 and more in the last
    assert patients.further_y.T.tolist() == [[3, 2, -1, 3, -1, 2], [0, -1, 1, 1, -1, 0]]
    assert patients.further_cens[:, 0].tolist() == [0, 1, 0, 1, 0, 1]
    assert patients.further_time[:, 0].tolist() == [60, 40, 0, 70, 0, 45]
