"""Study files: what is refused, with which words, and what the digest depends on."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cohort.genes import groups_digest
from shared.errors import StudyError
from shared.privacy_settings import Privacy
from shared.strategy_names import STRATEGIES
from shared.study import Study, parse_study, read_study

GROUPS = {"one": ["EGFR", "TP53"], "two": ["IDH1"]}
FULL: dict[str, Any] = {
    "schema": 1,
    "name": "full",
    "seed": 3,
    "governance": {
        **{"purpose": "p", "controller": "c", "contact": "o@example.org"},
        **{"ethics_reference": "e", "retention": "r"},
    },
    "task": {
        **{"kind": "classification", "column": "grade", "classes": ["G2", "G3", "G4"]},
        **{"groups": {"II": "G2"}, "ordered": True, "priors": [0.25, 0.5, 0.25]},
        **{"left_out": ["G1"], "class_weights": [1, 2, 3], "logit_adjustment": 1},
    },
    "model": {"architecture": "linear", "scale": "block"},
    "modalities": {
        "slides": {"encoder": "resnet50", "encoder_sha256": "a" * 64, "dim": 2048},
        "expression": {
            **{"genes": "gmt", "groups": GROUPS, "genes_sha256": groups_digest(GROUPS)},
            **{"aux": ["mutations"], "aux_columns": ["mutations:IDH1"]},
        },
        "blood": {"route": "template", "analytes": ["6768-6"], "text_encoder": "all-minilm-l6-v2"},
        "imaging": {"encoder": "resnet50"},
        "clinical": {"columns": ["age_at_diagnosis"], "scale": {"age_at_diagnosis": [50, 10]}},
    },
    "federation": {"strategy": "fedprox", "strategy_options": {"proximal_mu": 0.1}},
}
OTHER: dict[str, Any] = {
    "seed": 4,
    "governance.purpose": "x",
    "governance.controller": "x",
    "governance.contact": "x",
    "governance.ethics_reference": "x",
    "governance.retention": "x",
    "task.column": "x",
    "task.classes": ["G3", "G2", "G4"],
    "task.groups.II": "G3",
    "task.ordered": False,
    "task.priors": [0.5, 0.25, 0.25],
    "task.left_out": ["G0"],
    "task.class_weights": [3, 2, 1],
    "task.logit_adjustment": 0.5,
    "heads": [{"name": "death", "task": {"kind": "survival"}}],
    "model.architecture": "s1_crossattn",
    "model.options.scale": "none",
    "model.options.zero_init": False,
    "model.options.risk_score": True,
    "modalities.slides.encoder": "mobilenet_v2",
    "modalities.slides.encoder_sha256": "b" * 64,
    "modalities.slides.weights": "random",
    "modalities.slides.mpp": 1.0,
    "modalities.slides.tile": 256,
    "modalities.slides.max_patches": 10,
    "modalities.slides.stain": "macenko",
    "modalities.slides.quality": False,
    "modalities.expression.genes": "panel",
    "modalities.expression.genes_sha256": "",
    "modalities.expression.groups.one": ["EGFR", "TERT"],
    "modalities.expression.groups.two": ["IDH2"],
    "modalities.expression.normalise": "rank",
    "modalities.expression.clip": 4.0,
    "modalities.expression.aux": ["mutations", "copy_number"],
    "modalities.expression.aux_columns": ["mutations:TP53"],
    "modalities.blood.route": "local_llm",
    "modalities.blood.analytes": ["2532-0"],
    "modalities.blood.text_encoder": "biobert-base-cased-v1.2",
    "modalities.blood.text_encoder_sha256": "b" * 64,
    "modalities.imaging.encoder": "mobilenet_v2",
    "modalities.imaging.encoder_sha256": "b" * 64,
    "modalities.imaging.weights": "random",
    "modalities.imaging.crop": False,
    "modalities.imaging.max_images": 2,
    "modalities.clinical.columns": ["age_at_diagnosis", "sex"],
    "modalities.clinical.scale.age_at_diagnosis": [50, 20],
    "training.rounds": 7,
    "training.local_epochs": 2,
    "training.batch_size": 0,
    "training.optimizer": "sgd",
    "training.learning_rate": 0.1,
    "training.schedule": "constant",
    "training.weight_decay": 0.0,
    "training.modality_dropout": 0.0,
    "federation.strategy": "fedavg",
    "federation.strategy_options.proximal_mu": 0.2,
    "federation.quorum": 3,
    "federation.branch_quorum": 1,
    "federation.deadline_s": 60,
    "federation.max_message_mb": 30,
    "split.protocol": "leave-one-site-out",
    "split.test_fraction": 0.2,
    "split.by": "patient",
    "split.folds": 4,
    "split.repeat": 1,
    "split.fold": 1,
}
"""Every field of the study's canonical form, with another value it may have."""
ONE_VALUE = {
    *("schema", "name", "task.kind", "federation.wire"),
    # follow from the encoders
    *("modalities.slides.dim", "modalities.blood.text_dim", "modalities.imaging.dim"),
}
SMALL = {
    "schema": 1,
    "name": "small",
    "task": {"kind": "classification", "column": "grade", "classes": ["a", "b"]},
    "model": {"architecture": "linear"},
    "modalities": {"clinical": {}},
}
PRIVACY_FIELDS = {f"privacy.{name}" for name in Privacy.model_fields}
TOML = """
name = "small"
schema = 1
[modalities.clinical]
[model]
architecture = "linear" # a comment
[task]
classes = ["a",
           "b"]
column = "grade"
kind = "classification"
"""


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for key, part in value.items():
        found |= leaves(part, f"{path}.{key}" if path else key)
    return found


def changed(path: str, value: Any) -> dict[str, Any]:
    content = json.loads(json.dumps(parse_study(FULL).content()))
    if path == "model.architecture":
        content["model"] = {}
    if path == "federation.strategy":
        content["federation"]["strategy_options"] = {}
    widths = {"slides.encoder": "dim", "imaging.encoder": "dim", "blood.text_encoder": "text_dim"}
    modality, _, field = path.removeprefix("modalities.").partition(".")
    if f"{modality}.{field}" in widths:
        content["modalities"][modality][widths[f"{modality}.{field}"]] = 0
    if path.startswith("modalities.expression.groups"):
        content["modalities"]["expression"]["genes_sha256"] = ""
    *parents, last = path.split(".")
    part = content
    for parent in parents:
        part = part[parent]
    part[last] = value
    return content


def shuffled(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    items = list(value.items())
    rng.shuffle(items)
    return {key: shuffled(part, rng) for key, part in items}


def refused(content: dict[str, Any]) -> list[str]:
    with pytest.raises(StudyError) as caught:
        parse_study(content)
    first, *faults = str(caught.value).split("\n")
    assert first == f"study: {len(faults)} fault{'s' if len(faults) > 1 else ''}"
    return [fault.strip() for fault in faults]


def test_the_table_of_changes_knows_every_field() -> None:
    assert set(leaves(parse_study(FULL).content())) == {*OTHER, *ONE_VALUE, *PRIVACY_FIELDS}


@pytest.mark.parametrize("path", OTHER)
def test_the_digest_changes_with_every_field(path: str) -> None:
    assert parse_study(changed(path, OTHER[path])).digest != parse_study(FULL).digest


def test_the_name_is_not_in_the_digest() -> None:
    assert parse_study({**FULL, "name": "other"}).digest == parse_study(FULL).digest


def test_the_digest_of_a_small_study_stays_what_it_is() -> None:
    canonical = parse_study(SMALL).canonical()
    assert canonical.startswith('{"federation":{"branch_quorum":2,"deadline_s":3600.0,"max_message_mb":20,"quorum":2,')
    assert parse_study(SMALL).digest == "f31596166fca66c091bb511312a116284fcb58f2f1c398a5683b4c2bf2df1c95"


@given(st.integers())
def test_the_digest_does_not_depend_on_the_order_of_keys(seed: int) -> None:
    assert parse_study(shuffled(FULL, random.Random(seed))).digest == parse_study(FULL).digest


def test_the_digest_does_not_depend_on_comments_and_layout(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(TOML)
    assert read_study(tmp_path / "study.toml").digest == parse_study(SMALL).digest


def test_whole_numbers_and_defaults_written_out_are_the_same_study() -> None:
    written = {**SMALL, "federation": {"deadline_s": 3600, "strategy": "fedavg"}, "seed": 0}
    assert parse_study(written).digest == parse_study(SMALL).digest


@given(
    rate=st.floats(min_value=1e-9, max_value=1e6),
    rounds=st.integers(1, 10_000),
    seed=st.integers(-(2**31), 2**31),
    edges=st.lists(st.floats(0.1, 500), min_size=1, max_size=5, unique=True),
)
def test_a_study_read_back_from_canonical_json_is_the_same(
    rate: float, rounds: int, seed: int, edges: list[float]
) -> None:
    study = parse_study(
        {
            **FULL,
            "seed": seed,
            "task": {"kind": "survival", "time_edges": sorted(edges)},
            "training": {"rounds": rounds, "learning_rate": rate},
        }
    )
    again = parse_study(json.loads(study.canonical()))
    assert again == study
    assert again.digest == study.digest


def test_the_options_of_a_strategy_are_completed() -> None:
    study = parse_study({**SMALL, "federation": {"strategy": "fedprox"}})
    assert study.federation.strategy_options == {"proximal_mu": 0.01}
    assert parse_study({**SMALL, "federation": {"strategy": "fedprox", "strategy_options": {"proximal_mu": 0.01}}}) == (
        study
    )


@pytest.mark.parametrize(("encoder", "width"), [("mobilenet_v2", 1280), ("resnet50", 2048)])
def test_the_width_of_a_feature_follows_from_the_encoder(encoder: str, width: int) -> None:
    studies = [
        parse_study({**SMALL, "modalities": {"slides": {"encoder": encoder, **dim}}})
        for dim in ({}, {"dim": 0}, {"dim": width})
    ]
    assert {study.content()["modalities"]["slides"]["dim"] for study in studies} == {width}
    assert len({study.digest for study in studies}) == 1


def test_modalities_come_in_the_fixed_order() -> None:
    study = parse_study(shuffled(FULL, random.Random(1)))
    assert study.modalities.names == ("slides", "expression", "blood", "imaging", "clinical")


def test_later_fields_at_their_defaults_leave_the_digest_alone() -> None:
    written = {"left_out": [], "class_weights": [], "logit_adjustment": 0.0}
    content = {**SMALL, "task": {**SMALL["task"], **written}, "heads": []}
    assert parse_study(content).digest == parse_study(SMALL).digest
    survival: dict[str, Any] = {**SMALL, "task": {"kind": "survival"}}
    default = {**survival, "task": {"kind": "survival", "censored_discount": 0.5}}
    other = {**survival, "task": {"kind": "survival", "censored_discount": 0.0}}
    assert parse_study(survival).digest == parse_study(default).digest != parse_study(other).digest


MIXED: dict[str, Any] = {
    "schema": 1,
    "name": "mixed",
    "seed": "0",
    "task": {"kind": "survival", "time_edges": [24, 12], "time": "os"},
    "heads": [{"name": "one", "task": {"kind": "classification", "column": "c", "classes": ["a"]}}],
    "model": {"architecture": "abmil", "dimm": 3},
    "modalities": {"slides": {"encoder": "resnet50", "dim": 1280}, "expression": {}},
    "federation": {"strategy": "fedprox", "strategy_options": {"mu": 1}},
    "training": {"learning_rte": 0.1},
}
"""One fault of every kind: none may hide another, though pydantic stops at a section that has one."""


def test_faults_of_different_kinds_are_listed_at_once() -> None:
    assert sorted(fault.split(",")[0] for fault in refused(MIXED)) == [
        "federation: expected a strategy option of fedprox",
        "heads.0.task: expected at least two classes",
        "modalities.slides: expected dim 2048",
        "model: expected an option of abmil",
        "model: expected modalities that abmil takes (slides)",
        "seed: expected a valid integer",
        "task.time: expected a known key",
        "task: expected time_edges that rise from above 0",
        "training.learning_rte: expected a known key",
    ]


def test_a_fault_elsewhere_does_not_hide_what_the_model_needs() -> None:
    content = {**SMALL, "seed": "0", "model": {"architecture": "abmil"}}
    assert [fault.split(" (")[0] for fault in refused(content)] == [
        'seed: expected a valid integer, got "0"; correct the value',
        "model: expected modalities that abmil takes",
        "model: expected the modalities that abmil needs",
    ]


def test_a_fault_elsewhere_does_not_hide_what_the_strategy_needs() -> None:
    strategy = {"federation": {"strategy": "scaffold"}, "training": {"optimizer": "adamw"}}
    whole = refused({**SMALL, **strategy})
    assert len(whole) == 1
    assert refused({**SMALL, "seed": "0", **strategy})[1:] == whole


@pytest.mark.parametrize("seed", [0, "0"])
def test_a_detection_study_refuses_what_it_cannot_do(seed: object) -> None:
    content = {
        **{"schema": 1, "name": "lesions", "task": {"kind": "detection"}, "model": {"architecture": "yolo"}},
        "modalities": {"imaging": {}},
    }
    assert parse_study({**content, "training": {"modality_dropout": 0}}).split.protocol == "holdout"
    wrong = {"training": {"modality_dropout": 0.5}, "split": {"protocol": "leave-one-site-out"}}
    assert [fault for fault in refused({**content, **wrong, "seed": seed}) if not fault.startswith("seed")] == [
        "training.modality_dropout: expected none, since a detection study has one modality, got 0.5; remove it",
        "split.protocol: expected \"holdout\" for a detection study, got 'leave-one-site-out'; correct it",
    ]


def test_a_misspelt_modality_is_no_missing_one() -> None:
    content = {**SMALL, "model": {"architecture": "abmil"}, "modalities": {"slide": {}}}
    assert refused(content) == ["modalities.slide: expected a known key, got an unknown one; write 'slides'"]


def test_every_fault_is_listed_at_once(tmp_path: Path) -> None:
    text = TOML.replace("schema = 1", 'schema = 1\nmodle = "x"\nseed = "0"').replace('kind = "class', 'kind = "clas')
    (tmp_path / "study.toml").write_text(text + "[training]\nrounds = 0\nlearning_rate = nan\n[split]\nfold = -1\n")
    with pytest.raises(StudyError) as caught:
        read_study(tmp_path / "study.toml")
    first, *faults = str(caught.value).split("\n")
    assert first == f"{tmp_path / 'study.toml'}: 6 faults"
    assert sorted(fault.strip() for fault in faults) == [
        "modle: expected a known key, got an unknown one; write 'model'",
        'seed: expected a valid integer, got "0"; correct the value',
        "split.fold: expected greater than or equal to 0, got -1; correct the value",
        "task.kind: expected one of 'classification', 'survival', 'detection', got \"clasification\"; choose one",
        "training.learning_rate: expected a finite number, got NaN; correct the value",
        "training.rounds: expected greater than or equal to 1, got 0; correct the value",
    ]


@pytest.mark.parametrize(
    ("section", "value", "fault"),
    [
        ("modalities", {}, "modalities: expected at least one modality, got none; add e.g. [modalities.slides]"),
        (
            "modalities",
            {"slide": {}},
            "modalities.slide: expected a known key, got an unknown one; write 'slides'",
        ),
        (
            "modalities",
            {"expression": {"groups": GROUPS, "genes_sha256": "0" * 64}},
            "modalities.expression: expected genes_sha256 to be that of groups, got another; let `submit` fill both",
        ),
        (
            "modalities",
            {"slides": {"encoder": "uni"}},
            "modalities.slides: expected dim, since mmfed does not know how wide 'uni' is, got none; "
            "write dim = NUMBER",
        ),
        (
            "modalities",
            {"slides": {"encoder": "resnet50", "dim": 1280}},
            "modalities.slides: expected dim 2048, the width of resnet50, got 1280; write 2048 or 0",
        ),
        ("model", {"architecture": "liner"}, "model: expected a known architecture, got 'liner'; write 'linear'"),
        (
            "model",
            {"architecture": "linear", "scal": "block"},
            "model: expected an option of linear, got 'scal'; write 'scale'",
        ),
        (
            "federation",
            {"strategy": "fedavgg"},
            f"federation.strategy: expected one of {', '.join(STRATEGIES)}, got 'fedavgg'; choose one of them",
        ),
        (
            "federation",
            {"strategy": "fedprox", "strategy_options": {"proximal_muu": 1}},
            "federation: expected a strategy option of fedprox, got 'proximal_muu'; write 'proximal_mu'",
        ),
        (
            "federation",
            {"strategy_options": {"eta": 1}},
            "federation: expected a strategy option of fedavg, got 'eta'; remove it (known here: none)",
        ),
        (
            "privacy",
            {"epsilon": 4.0},
            'privacy: expected a mode beside epsilon, got off; write mode = "local", or remove epsilon',
        ),
        ("schema", 2, "schema: expected 1, got 2; correct the value"),
        (
            "training",
            {"modality_dropout": 1},
            "training.modality_dropout: expected less than 1, got 1; correct the value",
        ),
        (
            "training",
            {"lr": 1},
            "training.lr: expected a known key, got an unknown one; remove it (known here: batch_size, learning_rate, "
            "local_epochs, modality_dropout, optimizer, rounds, schedule, weight_decay)",
        ),
    ],
)
def test_each_fault_says_where_what_and_what_to_write(section: str, value: Any, fault: str) -> None:
    assert refused({**SMALL, section: value}) == [fault]


READ_LOOSELY = (
    *("task", "task.kind", "heads", "heads.0", "heads.0.task", "heads.0.task.kind", "model", "model.architecture"),
    *("modalities", "modalities.imaging", "modalities.slides", "modalities.slides.max_patches"),
    *("federation", "federation.strategy", "training", "training.optimizer"),
)
"""What is looked at again though some part of the study is wrong."""


@pytest.mark.parametrize("path", READ_LOOSELY)
@pytest.mark.parametrize("value", [["umeml"], {"umeml": 1}, -3], ids=["list", "table", "number"])
def test_a_value_of_a_wrong_type_is_a_fault_wherever_it_stands(path: str, value: Any) -> None:
    heads = [{"name": "death", "task": {"kind": "survival"}}]
    content = json.loads(json.dumps({**FULL, "training": {}, "heads": heads}))
    *parents, last = path.split(".")
    part: Any = content
    for parent in parents:
        part = part[int(parent) if parent.isdigit() else parent]
    part[int(last) if last.isdigit() else last] = value
    assert any(fault.startswith(path.split(".")[0]) for fault in refused(content))


@pytest.mark.parametrize("path", ["training.learning_rate", "modalities.expression.clip", "federation.deadline_s"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_numbers_without_a_canonical_form_are_refused(path: str, value: float) -> None:
    assert [fault.split(",")[0] for fault in refused(changed(path, value))] == [f"{path}: expected a finite number"]


@pytest.mark.parametrize("key", ["schema", "name", "task", "model", "modalities"])
def test_what_a_study_must_have(key: str) -> None:
    content = {name: part for name, part in SMALL.items() if name != key}
    assert refused(content) == [f"{key}: expected a value, got nothing; add the key"]


def test_a_study_is_frozen() -> None:
    study: Study = parse_study(SMALL)
    with pytest.raises(ValueError, match="frozen"):
        study.seed = 1  # type: ignore[misc]
