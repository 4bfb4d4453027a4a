import json

import pytest

from client.prepare.settings import PrepareSettings
from shared.cohort.blood import blood_panel
from shared.errors import StudyError
from shared.study import Study

STUDY = {
    "schema": 1,
    "name": "s",
    "task": {"kind": "classification", "column": "grade", "classes": ["G2", "G3"]},
    "model": {"architecture": "linear"},
    "modalities": {
        "slides": {"mpp": 1.0},
        "expression": {"groups": {"b": ["TP53", "EGFR"], "a": ["EGFR", "CIC"]}, "aux_columns": ["mutations:IDH1"]},
        "blood": {},
        "clinical": {},
    },
}


def study(**changes: object) -> Study:
    return Study.model_validate_json(json.dumps({**STUDY, **changes}))


def test_settings_follow_from_the_modalities():
    settings = PrepareSettings.of(study())
    assert settings.modalities == ("slides", "expression", "blood", "clinical")
    assert settings.genes == ("CIC", "EGFR", "TP53")
    assert settings.aux == ("mutations:IDH1",)
    assert settings.analytes == tuple(analyte.loinc for analyte in blood_panel())
    assert settings.clinical == (("age_at_diagnosis", 50.0, 10.0), ("sex", 0.0, 1.0))


def test_studies_of_other_tasks_and_models_share_a_store():
    other = study(
        name="t",
        seed=5,
        task={"kind": "survival"},
        model={"architecture": "late"},
        training={"rounds": 2},
    )
    assert PrepareSettings.of(other).digest == PrepareSettings.of(study()).digest


@pytest.mark.parametrize(
    "change",
    [
        {"slides": {"mpp": 0.5}},
        {"slides": {"mpp": 1.0, "weights": "random"}},
        {"slides": {"mpp": 1.0, "encoder_sha256": "0" * 64}},
        {"expression": {"groups": {"a": ["CIC"]}}},
        {"blood": {"analytes": ["6768-6"]}},
        {"clinical": {"columns": ["sex"]}},
    ],
)
def test_whatever_changes_the_features_changes_the_digest(change):
    other = study(modalities={**STUDY["modalities"], **change})
    assert PrepareSettings.of(other).digest != PrepareSettings.of(study()).digest


def test_a_modality_that_is_not_used_leaves_no_trace():
    settings = PrepareSettings.of(study(modalities={"clinical": {"columns": ["sex"]}}))
    assert (settings.slides, settings.genes, settings.aux, settings.analytes) == (None, (), (), ())


@pytest.mark.parametrize(
    ("modalities", "message"),
    [
        ({"expression": {}}, "expected a resolved study with gene groups, got none; take"),
        ({"blood": {"analytes": ["1-1"]}}, r"expected LOINC codes of the packaged panel, got \['1-1'\]; remove"),
        (
            {"clinical": {"columns": ["karnofsky"]}},
            r"expected the centre and unit of 'karnofsky', .* add e\.g\. scale\.kar",
        ),
        ({"clinical": {"columns": ["k"], "scale": {"k": [1, 0]}}}, r"scale\.k: expected a unit other than 0"),
    ],
)
def test_refusals(modalities, message):
    with pytest.raises(StudyError, match=message):
        PrepareSettings.of(study(modalities=modalities))
