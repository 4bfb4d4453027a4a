"""The `[privacy]` section of a study: what it must state, what follows from it, and what is in the digest."""

from typing import Any

import pytest

from shared.errors import StudyError
from shared.privacy.events import Event
from shared.privacy_settings import Privacy
from shared.study import parse_study

SMALL: dict[str, Any] = {
    "schema": 1,
    "name": "small",
    "task": {"kind": "classification", "column": "grade", "classes": ["a", "b"]},
    "model": {"architecture": "linear"},
    "modalities": {"clinical": {}},
}
PRIVATE: dict[str, Any] = {
    **SMALL,
    "privacy": {
        "mode": "local",
        "epsilon": 4.0,
        "delta": 1e-5,
        "sample_rate": 0.1,
        "steps_per_round": 10,
        "expected_batch": 16.0,
    },
}
PRIVATE_OTHER = {
    "privacy.epsilon": 5.0,
    "privacy.delta": 1e-6,
    "privacy.clip": 0.5,
    "privacy.sigma": 9.0,
    "privacy.sample_rate": 0.2,
    "privacy.steps_per_round": 3,
    "privacy.expected_batch": 8.0,
    "privacy.backend": "loop",
    "privacy.noise_source": "os-seeded",
}


def test_every_term_has_another_value_here() -> None:
    assert {f"privacy.{name}" for name in Privacy.model_fields} == {"privacy.mode", *PRIVATE_OTHER}


@pytest.mark.parametrize("path", PRIVATE_OTHER)
def test_the_digest_changes_with_every_privacy_term(path: str) -> None:
    name = path.removeprefix("privacy.")
    other = {**PRIVATE, "privacy": {**PRIVATE["privacy"], name: PRIVATE_OTHER[path]}}
    assert parse_study(other).digest != parse_study(PRIVATE).digest


def test_the_noise_is_filled_in_and_kept() -> None:
    study = parse_study(PRIVATE)
    assert study.terms is not None
    assert study.terms.study == Event(0.1, 2.0683, 300)
    assert parse_study(study.content()).digest == study.digest
    assert parse_study(SMALL).terms is None


def test_privacy_switches_what_the_study_leaves_open_and_nothing_else() -> None:
    groups = {"groups": {"one": ["TP53"]}}
    base = {**SMALL, "model": {"architecture": "abmil"}, "modalities": {"slides": {}}}
    plain, private = parse_study(base), parse_study({**base, "privacy": PRIVATE["privacy"]})
    assert plain.model.options["dim"] != private.model.options["dim"] == 64
    stated = parse_study({**base, "privacy": PRIVATE["privacy"], "model": {"architecture": "abmil", "dim": 100}})
    assert stated.model.options["dim"] == 100
    genes = {**SMALL, "modalities": {"expression": groups}, "privacy": PRIVATE["privacy"]}
    own = {**genes, "modalities": {"expression": {**groups, "normalise": "site"}}}
    for content, expected in ((genes, "rank"), (own, "site")):
        expression = parse_study(content).modalities.expression
        assert expression is not None
        assert expression.normalise == expected


@pytest.mark.parametrize(
    ("terms", "fault"),
    [
        ({"clip": 1e-45}, "privacy.clip: expected greater than or equal to 0.000001"),
        ({"clip": 1e30}, "privacy.clip: expected less than or equal to 1000000"),
        ({"expected_batch": 1e-42}, "privacy.expected_batch: expected greater than or equal to 1"),
        ({"backend": "hooks"}, "privacy.backend: expected 'auto', 'vmap' or 'loop'"),
    ],
)
def test_terms_in_which_float32_would_lose_the_noise_are_refused(terms: dict[str, Any], fault: str) -> None:
    with pytest.raises(StudyError, match=fault):
        parse_study({**PRIVATE, "privacy": {**PRIVATE["privacy"], **terms}})
