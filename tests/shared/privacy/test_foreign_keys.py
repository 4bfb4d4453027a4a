"""Keys of other tools in a private study: answered by the lint, all at once; no matter where nothing is promised."""

from typing import Any

import pytest

from shared.errors import StudyError
from shared.privacy.foreign_keys import FOREIGN, taught
from shared.study import parse_study
from tests.federation import CONTENT

PRIVACY = {
    **{"mode": "local", "epsilon": 4.0, "delta": 1e-5, "sample_rate": 0.1, "steps_per_round": 10},
    **{"expected_batch": 10.0},
}
CASES: list[tuple[str, object, str]] = [
    ("privacy.sensitivity", 1e-4, "DP001"),
    ("privacy.noise_std", 0.01, "DP001"),
    ("privacy.noise_scale", 0.01, "DP001"),
    ("privacy.per_round_epsilon", 0.5, "DP002"),
    ("privacy.epochs", 50, "DP005"),
    ("training.epochs", 50, "DP005"),
    ("privacy.adaptive_clip", True, "DP007"),
    ("privacy.noise_at", "final", "DP008"),
    ("task.loss", "Cox", "DP009"),
    ("training.sampler", "weighted", "DP010"),
    ("training.weighted_sampler", True, "DP010"),
    ("training.balanced", True, "DP010"),
    ("training.early_stopping", {"patience": 5}, "DP011"),
    ("training.patience", 5, "DP011"),
    ("training.best_epoch", True, "DP011"),
    ("training.sampler", "random", "DP012"),
    ("training.shuffle", True, "DP012"),
    ("privacy.seed", 0, "DP013"),
    ("privacy.noise_seed", 42, "DP013"),
    ("federation.weights", {"A": 120, "B": 80}, "DP014"),
    ("federation.weighted", True, "DP014"),
    ("privacy.mode", "percentile", "DP015"),
    ("privacy.mode", "svt", "DP015"),
    ("privacy.mode", "weights_noise", "DP015"),
    ("privacy.accountant", "gdp", "DP017"),
    ("privacy.unit", "slide", "DP018"),
    ("privacy.unit", "patch", "DP018"),
    ("federation.send_loss", True, "DP019"),
    ("training.log_loss", True, "DP019"),
    ("training.ema", 0.99, "DP020"),
    ("privacy.quorum", 6, "DP021"),
]
HARMLESS: list[tuple[str, object]] = [
    ("privacy.accountant", "pld"),
    ("privacy.unit", "patient"),
    ("training.sampler", "poisson"),
    ("training.ema", False),
    ("training.early_stopping", False),
    ("task.loss", "nll"),
    ("federation.weights", "equal"),
    ("privacy.mode", "central"),
    ("training.momentum", 0.9),
]


def written(*keys: tuple[str, object], privacy: dict[str, Any] | None = None) -> dict[str, Any]:
    """CONTENT with privacy on, and with these keys."""
    content: dict[str, Any] = {**CONTENT, "privacy": PRIVACY if privacy is None else privacy}
    for path, value in keys:
        section, key = path.split(".")
        content[section] = {**content.get(section, {}), key: value}
    return content


def faults_of(content: dict[str, Any]) -> list[str]:
    with pytest.raises(StudyError) as caught:
        parse_study(content)
    return [line.strip() for line in str(caught.value).split("\n")[1:]]


@pytest.mark.parametrize(("path", "value", "code"), CASES)
def test_a_key_of_another_tool_is_answered_by_the_lint(path: str, value: object, code: str) -> None:
    (fault,) = faults_of(written((path, value)))
    assert fault.startswith(f"{path}: {code}: found {path.split('.')[1]} = ")
    assert fault.count("; ") >= 2


@pytest.mark.parametrize(("path", "value"), HARMLESS)
def test_what_breaks_no_promise_is_an_unknown_key_like_any_other(path: str, value: object) -> None:
    (fault,) = faults_of(written((path, value)))
    assert "DP0" not in fault
    assert fault.startswith(f"{path}: expected ")


def test_without_privacy_no_key_is_a_lesson() -> None:
    for path, value, _ in CASES:
        assert taught(path, value, {"privacy": {"mode": "off"}}) is None
        assert taught(path, value, {}) is None
    (fault,) = faults_of(written(("training.epochs", 3), privacy={"mode": "off"}))
    assert fault == "training.epochs: expected a known key, got an unknown one; write 'local_epochs'"


def test_an_epsilon_alone_asks_for_privacy() -> None:
    assert "DP012" in str(taught("training.shuffle", True, {"privacy": {"epsilon": 4.0}}))


def test_a_section_or_a_further_head_is_answered_where_it_stands() -> None:
    content = written()
    content["early_stopping"] = {"patience": 3}
    content["heads"] = [{"name": "death", "task": {"kind": "survival", "loss": "cox"}}]
    assert sorted(fault.split(": found")[0] for fault in faults_of(content)) == [
        "early_stopping: DP011",
        "heads.0.task.loss: DP009",
    ]


def test_a_kind_of_task_that_is_a_loss_is_answered_too() -> None:
    (fault,) = faults_of(written(("task.kind", "cox")))
    assert fault.startswith('task.kind: DP009: found kind = "cox"; risk sets couple patients')


def test_what_a_private_study_gets_wrong_is_told_all_at_once() -> None:
    """Epsilon without delta, a Cox loss, a weighted sampler, early stopping, and counts of patients as weights."""
    no_delta = {name: value for name, value in PRIVACY.items() if name != "delta"}
    content = written(
        ("task.loss", "cox"),
        ("training.weighted_sampler", True),
        ("training.early_stopping", True),
        ("federation.weights", {"A": 120, "B": 80}),
        privacy=no_delta,
    )
    faults = faults_of(content)
    assert sorted(fault.split(", got")[0].split(" = ")[0] for fault in faults) == [
        "federation.weights: DP014: found weights",
        "privacy: DP016: expected delta",
        "task.loss: DP009: found loss",
        "training.early_stopping: DP011: found early_stopping",
        "training.weighted_sampler: DP010: found weighted_sampler",
    ]
    for fault in faults:  # each of them alone is the same sentence
        path = fault.split(":")[0]
        section, _, key = path.partition(".")
        alone = written((path, content[section][key])) if key else written(privacy=no_delta)
        assert faults_of(alone) == [fault]


def test_a_foreign_key_beside_a_missing_term_hides_neither() -> None:
    no_delta = {name: value for name, value in PRIVACY.items() if name != "delta"}
    faults = faults_of(written(("privacy.noise_std", 0.1), privacy=no_delta))
    assert [fault.split(":")[1].strip() for fault in faults] == ["DP001", "DP016"]


def test_a_long_value_is_cut() -> None:
    (fault,) = faults_of(written(("federation.weights", {f"site-{i}": i for i in range(99)})))
    assert len(fault) < 300


def test_every_lesson_of_the_table_names_a_code_and_can_be_met() -> None:
    met = {path for path, _, _ in CASES}
    assert {lesson.code for path in met for lesson in FOREIGN[path]} == {
        f"DP{number:03}" for number in range(1, 22) if number not in (3, 4, 6, 16)
    }
