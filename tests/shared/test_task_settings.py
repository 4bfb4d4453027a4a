"""Task sections and further heads: what they mean, and what of them is refused, with which words."""

from typing import Any

import pytest

from shared.errors import StudyError
from shared.study import parse_study

SMALL = {
    "schema": 1,
    "name": "small",
    "task": {"kind": "classification", "column": "grade", "classes": ["a", "b"]},
    "model": {"architecture": "linear"},
    "modalities": {"clinical": {}},
}


def refused(content: dict[str, Any]) -> list[str]:
    with pytest.raises(StudyError) as caught:
        parse_study(content)
    return [fault.strip() for fault in str(caught.value).split("\n")[1:]]


@pytest.mark.parametrize(
    ("task", "outputs"),
    [
        ({"kind": "classification", "column": "g", "classes": ["a", "b"]}, 1),
        ({"kind": "classification", "column": "g", "classes": ["a", "b", "c"]}, 3),
        ({"kind": "survival"}, 4),
    ],
)
def test_the_width_of_the_head_follows_from_the_task(task: dict[str, Any], outputs: int) -> None:
    assert parse_study({**SMALL, "task": task}).outputs == outputs


def with_heads(*heads: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**SMALL, "heads": list(heads), **changes}


DEATH = {"name": "death", "weight": 0.5, "task": {"kind": "survival"}}
GRADE = {"name": "grade", "task": {"kind": "classification", "column": "g", "classes": ["1", "2", "3"]}}


def test_the_outputs_of_all_heads_add_up() -> None:
    assert parse_study(with_heads(DEATH, GRADE)).outputs == 1 + 4 + 3
    unknown = {**GRADE, "task": {"kind": "classification", "column": "g"}}
    assert parse_study(with_heads(DEATH, unknown)).outputs == 0  # a simulation fills the classes in


def test_a_default_written_out_in_a_head_is_the_same_study() -> None:
    written = {**DEATH, "task": {"kind": "survival", "censored_discount": 0.5}}
    assert parse_study(with_heads(written)).digest == parse_study(with_heads(DEATH)).digest


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (with_heads(DEATH, DEATH), "heads: expected distinct names, got ['death', 'death']; rename one"),
        (
            with_heads({**DEATH, "wieght": 2}),
            "heads.0.wieght: expected a known key, got an unknown one; write 'weight'",
        ),
        (
            with_heads(DEATH, {**GRADE, "task": {**GRADE["task"], "clases": []}}),
            "heads.1.task.clases: expected a known key, got an unknown one; write 'classes'",
        ),
        (
            with_heads({**GRADE, "task": {**GRADE["task"], "priors": [1]}}),
            "heads.0.task: expected one prior a class, adding up to 1, got [1.0]; correct priors",
        ),
        (
            with_heads(DEATH, model={"architecture": "linear", "risk_score": True}, task={"kind": "survival"}),
            "model: expected one task for risk_score, since all outputs share one score, got [[heads]]; "
            "remove them or write risk_score = false",
        ),
    ],
)
def test_heads_are_refused_as_tasks_are(content: dict[str, Any], fault: str) -> None:
    assert refused(content) == [fault]


def test_joined_columns_are_read_as_several() -> None:
    task = parse_study({**SMALL, "task": {**SMALL["task"], "column": "grade + idh"}}).task
    assert getattr(task, "columns", ()) == ("grade", "idh")


def test_heads_stand_beside_labels_only() -> None:
    content = with_heads(
        DEATH, task={"kind": "detection"}, model={"architecture": "yolo"}, modalities={"imaging": {}}, seed="0"
    )
    assert refused(content) == [
        'seed: expected a valid integer, got "0"; correct the value',
        "heads: expected none beside a detection task, got some; remove them",
    ]


@pytest.mark.parametrize(
    ("task", "fault"),
    [
        (
            {"column": "g"},
            "task.kind: expected one of 'classification', 'survival', 'detection', got nothing; choose one",
        ),
        (
            {"kind": "classification", "column": "g", "clases": []},
            "task.clases: expected a known key, got an unknown one; write 'classes'",
        ),
        (
            {"kind": "classification", "column": "g", "classes": ["a", "a"]},
            "task: expected distinct classes, got ['a', 'a']; remove the repeated one",
        ),
        (
            {"kind": "classification", "column": "g", "classes": ["a"]},
            "task: expected at least two classes, got ['a']; add the others",
        ),
        (
            {"kind": "classification", "column": "g", "classes": ["a", "b"], "groups": {"x": "c"}},
            "task: expected groups that lead to a class, got ['c']; add them to classes",
        ),
        (
            {"kind": "classification", "column": "g", "classes": ["a", "b"], "priors": [0.5, 0.6]},
            "task: expected one prior a class, adding up to 1, got [0.5, 0.6]; correct priors",
        ),
        (
            {"kind": "survival", "time_edges": [12, 6]},
            "task: expected time_edges that rise from above 0, got [12.0, 6.0]; sort them",
        ),
        (
            {"kind": "survival", "censored_discount": 1},
            "task.censored_discount: expected less than 1, got 1; correct the value",
        ),
        (
            {"kind": "classification", "column": "g + ", "classes": ["a", "b"]},
            "task: expected columns joined by ' + ', got 'g + '; name each of them",
        ),
        (
            {"kind": "classification", "column": "g", "classes": ["a", "b"], "class_weights": [1]},
            "task: expected one weight a class, got [1.0]; correct class_weights",
        ),
        (
            {"kind": "classification", "column": "g", "classes": ["a", "b"], "class_weights": [1, 0]},
            "task.class_weights.1: expected greater than 0, got 0; correct the value",
        ),
        (
            {"kind": "classification", "column": "g", "classes": ["a", "b"], "logit_adjustment": 1},
            "task: expected priors above 0, since logit_adjustment uses them, got none; write public shares",
        ),
        (
            {
                **{"kind": "classification", "column": "g", "classes": ["a", "b"], "groups": {"x": "a"}},
                **{"left_out": ["b", "x", "y"]},
            },
            "task: expected left_out to be no class and in no group, got ['b', 'x']; remove them there or here",
        ),
    ],
)
def test_each_fault_of_a_task_says_where_what_and_what_to_write(task: dict[str, Any], fault: str) -> None:
    assert refused({**SMALL, "task": task}) == [fault]


@pytest.mark.parametrize("priors", [[1.5, -0.5], [-1e-9, 1]])
def test_a_prior_is_a_share(priors: list[float]) -> None:
    faults = refused({**SMALL, "task": {**SMALL["task"], "priors": priors}})  # type: ignore[dict-item]
    wrong = [i for i, prior in enumerate(priors) if not 0 <= prior <= 1]
    assert [fault.split(":")[0] for fault in faults] == [f"task.priors.{i}" for i in wrong]


def test_logit_adjustment_takes_no_prior_of_nothing() -> None:
    task = {**SMALL["task"], "priors": [1, 0], "logit_adjustment": 1}  # type: ignore[dict-item]
    assert refused({**SMALL, "task": task}) == [
        "task: expected priors above 0, since logit_adjustment uses them, got [1.0, 0.0]; write public shares"
    ]
