import pytest
import torch

from shared.errors import StudyError
from shared.models import ARCHITECTURES, build_model, resolve_options
from shared.study import Study, parse_study

GROUPS = {"b": ["TP53", "RB1", "PTEN"], "a": ["EGFR", "MET"]}


def study_of(**changes: object) -> Study:
    content = {
        "schema": 1,
        "name": "small",
        "task": {"kind": "classification", "column": "grade", "classes": ["G2", "G3", "G4"]},
        "model": {"architecture": "s1_crossattn", "dim": 16, "heads": 4},
        "modalities": {"slides": {}, "expression": {"groups": GROUPS}},
    }
    return parse_study({**content, **changes})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_options_are_completed_with_defaults_and_stay_what_they_are(architecture):
    resolved = resolve_options(architecture, {})
    assert resolved
    assert resolve_options(architecture, resolved) == resolved


def test_a_whole_number_is_a_float_where_the_option_is_one():
    dropout = resolve_options("abmil", {"dropout": 0})["dropout"]
    assert dropout == 0.0
    assert isinstance(dropout, float)


@pytest.mark.parametrize(
    ("architecture", "options", "fault"),
    [
        ("abmill", {}, "expected a known architecture, got 'abmill'; write 'abmil'"),
        ("zzz", {}, "expected a known architecture, got 'zzz'; choose one of abmil, linear, s1_crossattn"),
        ("abmil", {"dropuot": 0.1}, "expected an option of abmil, got 'dropuot'; write 'dropout'"),
        ("abmil", {"q": 1}, "expected an option of abmil, got 'q'; choose one of dim, dropout"),
        ("abmil", {"dim": 0}, "expected dim to be greater than or equal to 1, got 0; correct dim"),
        ("abmil", {"dim": True}, "expected dim to be a valid integer, got True; correct dim"),
        ("linear", {"scale": "blok"}, "expected scale to be 'none' or 'block', got 'blok'; correct scale"),
        (
            "s1_crossattn",
            {"dim": 20, "heads": 8},
            "expected an even dim that heads divides, got 20 and 8; write e.g. dim = 256, heads = 8",
        ),
    ],
)
def test_a_wrong_option_is_refused(architecture, options, fault):
    with pytest.raises(ValueError) as caught:
        resolve_options(architecture, options)
    assert str(caught.value) == fault


def test_all_faults_are_named_at_once():
    with pytest.raises(ValueError, match=r"dim to be[^\n]*\n.*dropout to be"):
        resolve_options("abmil", {"dim": "wide", "dropout": 1.0})


def test_a_study_names_the_fault_in_its_model_section():
    with pytest.raises(StudyError, match=r"model: expected an option of s1_crossattn, got 'head'; write 'heads'"):
        study_of(model={"architecture": "s1_crossattn", "head": 4})


def test_the_model_of_a_study_has_its_widths():
    state = build_model(study_of()).state_dict()
    assert state["branches.slides.encoder.0.weight"].shape == (16, 1280)
    assert state["head.weight"].shape == (3, 16)


def test_initial_weights_follow_from_the_random_state_alone():
    models = []
    for _ in range(2):
        torch.manual_seed(3)
        models.append(build_model(study_of()).state_dict())
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_the_order_of_groups_in_the_file_changes_no_shape():
    written = study_of()
    travelled = study_of(modalities={"slides": {}, "expression": {"groups": dict(sorted(GROUPS.items()))}})
    assert written.digest == travelled.digest
    for study in (written, travelled):
        state = build_model(study).state_dict()
        sizes = [state[f"branches.expression.groups.{i}.weight"].shape[1] for i in (0, 1)]
        assert sizes == [2, 3]  # EGFR MET before PTEN RB1 TP53


def test_a_study_that_is_not_resolved_is_refused_with_every_fault():
    study = study_of(
        task={"kind": "classification", "column": "grade"}, modalities={"slides": {}, "expression": {}, "blood": {}}
    )
    message = r"modalities\.expression: expected a width.*\nmodalities\.blood: .*\ntask\.classes: .*; resolve the study"
    with pytest.raises(StudyError, match=message):
        build_model(study)


def test_abmil_refuses_a_study_without_slides():
    study = study_of(model={"architecture": "abmil"}, modalities={"expression": {"groups": GROUPS}})
    with pytest.raises(
        StudyError, match=r"abmil: expected the modality slides, got expression; add \[modalities.slides"
    ):
        build_model(study)


def test_linear_refuses_a_risk_score_of_one_logit():
    task = {"kind": "classification", "column": "idh", "classes": ["mut", "wt"]}
    study = study_of(task=task, model={"architecture": "linear", "risk_score": True})
    with pytest.raises(StudyError, match="expected at least 2 outputs for risk_score, got 1; use a survival task"):
        build_model(study)


@pytest.mark.parametrize("modality", ["slides", "expression"])
def test_the_published_fusion_refuses_a_study_of_one_side(modality):
    one = {"slides": {}} if modality == "slides" else {"expression": {"groups": GROUPS}}
    study = study_of(model={"architecture": "s1_crossattn", "fusion": "published"}, modalities=one)
    with pytest.raises(StudyError, match=f"expected slides and a table, got {modality}; choose"):
        build_model(study)
