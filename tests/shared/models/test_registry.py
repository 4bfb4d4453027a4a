import pytest
import torch

from shared.cohort import MODALITIES
from shared.errors import StudyError
from shared.models import ARCHITECTURES, about, build_model, resolve_options, size
from shared.models.inputs import Inputs
from shared.study import Study, parse_study
from shared.weights import local_names
from tests.shared.models.cases import SMALL, every_case

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
        ("zzz", {}, f"expected a known architecture, got 'zzz'; choose one of {', '.join(sorted(ARCHITECTURES))}"),
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


SECTIONS = {
    "slides": {},
    "expression": {"groups": GROUPS},
    "blood": {},
    "imaging": {},
    "clinical": {},
}


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if about(name).needs])
def test_a_study_without_what_its_model_needs_is_refused(name):
    known = about(name)
    others = {modality: SECTIONS[modality] for modality in MODALITIES if modality not in known.needs}
    message = rf"model: expected the modalities that {name} needs \({', '.join(known.needs)}\), got {', '.join(others)}"
    with pytest.raises(StudyError, match=message):
        study_of(model={"architecture": name}, modalities=others)


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if about(name).takes != MODALITIES])
def test_a_study_with_what_its_model_cannot_take_is_refused(name):
    strange = [modality for modality in MODALITIES if modality not in about(name).takes]
    message = (
        rf"model: expected modalities that {name} takes .*, got {', '.join(strange)}; remove \[modalities\.{strange[0]}"
    )
    with pytest.raises(StudyError, match=message):
        study_of(model={"architecture": name}, modalities=SECTIONS)


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if about(name).takes == MODALITIES])
@pytest.mark.parametrize("modality", MODALITIES)
def test_a_model_that_takes_anything_takes_each_modality_alone(name, modality):
    study = study_of(model={"architecture": name}, modalities={modality: SECTIONS[modality]})
    assert study.model.architecture == name


@pytest.mark.parametrize(
    ("architecture", "modalities"),
    [
        *((name, ("slides",)) for name in ("abmil", "clam_sb", "dp_small", "late", "linear", "s1_crossattn")),
        ("porpoise", ("slides", "expression")),
        ("snn", ("expression",)),
    ],
)
def test_fedbn_without_a_normalisation_layer_is_refused(architecture, modalities):
    message = rf"federation.strategy: expected a model with normalisation layers for fedbn, .*, got {architecture} on "
    changes = {"model": {"architecture": architecture}, "modalities": {name: SECTIONS[name] for name in modalities}}
    for wrong in ({}, {"seed": "0"}):
        with pytest.raises(StudyError, match=message):
            study_of(**changes, federation={"strategy": "fedbn"}, **wrong)
    study_of(**changes)


@every_case
def test_fedbn_is_taken_where_the_model_that_is_built_has_layers_of_its_own(name, use, options):
    sections = {modality: SECTIONS[modality] for modality in use}
    model = {"architecture": name, **SMALL[name], **options}
    resolved = sections | ({"blood": {"analytes": ["6768-6"]}} if "blood" in use else {})
    has = bool(local_names(build_model(study_of(model=model, modalities=resolved)), "fedbn"))
    try:
        study_of(model=model, modalities=sections, federation={"strategy": "fedbn"})
    except StudyError:
        assert not has
    else:
        assert has


def test_linear_refuses_a_risk_score_of_one_logit():
    task = {"kind": "classification", "column": "idh", "classes": ["mut", "wt"]}
    with pytest.raises(StudyError, match="expected at least 2 outputs for risk_score, got 1; use a survival task"):
        study_of(task=task, model={"architecture": "linear", "risk_score": True})


@pytest.mark.parametrize("modality", ["slides", "expression"])
def test_the_published_fusion_refuses_a_study_of_one_side(modality):
    with pytest.raises(StudyError, match=f"expected slides and a table, got {modality}; choose"):
        study_of(
            model={"architecture": "s1_crossattn", "fusion": "published"}, modalities={modality: SECTIONS[modality]}
        )


def test_transmil_refuses_more_patches_than_exact_attention_can_hold():
    study_of(model={"architecture": "transmil"}, modalities={"slides": {"max_patches": 1024}})
    for wrong in ({}, {"seed": "0"}):  # alone, and beside a fault that keeps the study from being whole
        with pytest.raises(StudyError, match="model: .*max_patches of at most 1024 for transmil, .* got 1025; lower"):
            study_of(model={"architecture": "transmil"}, modalities={"slides": {"max_patches": 1025}}, **wrong)


def test_clam_sb_refuses_heads_whose_outputs_it_would_take_for_classes():
    head = {"name": "death", "task": {"kind": "survival"}}
    study_of(model={"architecture": "clam_sb"}, modalities={"slides": {}})
    with pytest.raises(StudyError, match=r"model: expected one task for clam_sb, .* got \[\[heads\]\]; remove them"):
        study_of(model={"architecture": "clam_sb"}, modalities={"slides": {}}, heads=[head])


SIX_PANELS = tuple(tuple(range(16 * i, 16 * i + 16)) for i in range(6))


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if about(name).takes != ("imaging",)])
def test_every_architecture_has_a_preset_for_private_training(name):
    use = tuple(modality for modality in ("slides", "expression") if modality in about(name).takes)
    groups = SIX_PANELS if "expression" in use else ()
    inputs = Inputs(use, slides=1024, max_patches=512, genes=16 * len(groups), groups=groups)
    small, usual = size(name, inputs, 4, {"preset": "dp_small"}), size(name, inputs, 4, {})
    assert small <= min(usual, 100_000)


def test_a_preset_stands_for_its_options_and_what_is_written_beside_it_wins():
    by_name = study_of(model={"architecture": "abmil", "preset": "dp_small"}, modalities={"slides": {}})
    by_hand = study_of(model={"architecture": "abmil", "dim": 64}, modalities={"slides": {}})
    assert by_name.model.options == {"dim": 64, "dropout": 0.25}
    assert by_name.digest == by_hand.digest
    assert parse_study(by_name.content()) == by_name
    assert resolve_options("abmil", {"preset": "dp_small", "dim": 32})["dim"] == 32


@pytest.mark.parametrize("preset", ["dp_smal", 64])
def test_an_unknown_preset_is_named_together_with_other_faults(preset):
    message = rf"expected a preset of abmil, got {preset!r}; choose one of: dp_small\nexpected dim to be "
    with pytest.raises(ValueError, match=message):
        resolve_options("abmil", {"preset": preset, "dim": 0})
