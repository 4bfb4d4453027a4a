"""A resolved study as TOML."""

import tomllib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cohort.genes import groups_digest
from shared.study import Study, parse_study
from shared.study_toml import study_toml
from simulations.adapt import override

CONTENT = {
    "schema": 1,
    "name": "written",
    "task": {"kind": "classification", "column": "grade", "classes": ["G2", "G3"]},
    "model": {"architecture": "linear"},
    "modalities": {"expression": {}, "clinical": {}},
}
text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Study]:
    return lambda *settings: override(parse_study(CONTENT), settings)


def _again(study: Study) -> Study:
    return parse_study(tomllib.loads(study_toml(study)))


def test_heads_read_back(make_study: Callable[..., Study]) -> None:
    sex = "{name='sex', task={kind='classification', column='sex', classes=['f', 'm'], groups={w='f'}}}"
    study = make_study(f"heads=[{{name='death', weight=0.5, task={{kind='survival'}}}}, {sex}]")
    assert [head.name for head in study.heads] == ["death", "sex"]
    assert '[[heads]]\nname = "death"' in study_toml(study)
    assert _again(study) == study
    assert _again(study).digest == study.digest


def test_the_demo_study_reads_back(make_study: Callable[..., Study]) -> None:
    study = make_study("training.learning_rate=1e-7", "federation.strategy=fedprox",
                       "federation.strategy_options.proximal_mu=0.01", "modalities.blood.route=numeric")  # fmt: skip
    assert _again(study) == study
    assert _again(study).digest == study.digest


def test_options_stand_beside_the_architecture(make_study: Callable[..., Study]) -> None:
    content = tomllib.loads(study_toml(make_study("model.scale=block")))
    assert content["model"]["architecture"] == "linear"
    assert content["model"]["scale"] == "block"
    assert "options" not in content["model"]


def test_absent_sections_are_left_out(make_study: Callable[..., Study]) -> None:
    content = tomllib.loads(study_toml(make_study()))
    assert "governance" not in content
    assert set(content["modalities"]) == {"expression", "clinical"}


def test_governance_is_kept(make_study: Callable[..., Study]) -> None:
    sections = ("purpose", "controller", "contact", "ethics_reference", "retention")
    study = make_study(*(f"governance.{name}=the {name}" for name in sections))
    assert study.governance is not None
    assert _again(study).governance == study.governance


@given(classes=st.lists(text, min_size=2, max_size=4, unique=True), group=text, gene=text, rate=st.floats(1e-9, 1e6))
def test_any_text_and_number_survive(
    make_study: Callable[..., Study], classes: list[str], group: str, gene: str, rate: float
) -> None:
    content = make_study().content()
    groups = {group: (gene,)}
    content["task"] |= {"classes": classes, "groups": dict.fromkeys(classes, classes[0]) | {group: classes[0]}}
    content["modalities"]["expression"] |= {"groups": {group: [gene]}, "genes_sha256": groups_digest(groups)}
    content["training"]["learning_rate"] = rate
    study = parse_study(content)
    assert _again(study).digest == study.digest
