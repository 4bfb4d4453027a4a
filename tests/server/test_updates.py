"""What the coordinator accepts of a site, and where it waits."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

import server.updates
from server.exchange import Rejected
from server.updates import Updates, check_control, check_evaluation, check_update, parse_evaluation
from shared.messages import EvaluateReply
from shared.metrics import Scored, Statistics
from shared.study import ClassificationTask, SurvivalTask, Task
from shared.weights import Arrays
from tests.server.updates import ones, update

HELD = frozenset({"slides"})
CURRENT = ones()
GOOD = update("A", {"slides": 8, "fusion": 9}, ones(2.0, ["slides"]))
GRADE = ClassificationTask(kind="classification", column="grade", classes=("G2", "G3", "G4"))
DEATH = SurvivalTask(kind="survival")


def with_array(name: str, array: Any) -> Arrays:
    return {**ones(2.0, ["slides"]), name: np.asarray(array)}


def statistics(task: Task, outputs: int) -> Mapping[str, Any]:
    """Counts of three patients."""
    return Statistics.of(
        Scored(
            kind=task.kind,
            scores=np.full((3, outputs), 1 / outputs),
            y=np.array([0, 1, 0]),
            time=np.array([5.0, 20.0, 30.0]),
            event=np.array([1, 0, 1]),
            site=np.full(3, "A"),
            edges=task.time_edges if isinstance(task, SurvivalTask) else (),
        )
    ).to_record()


def test_an_update_that_is_what_was_asked_for() -> None:
    assert check_update(GOOD, "A", 1, HELD, CURRENT) is GOOD


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"site": "B"}, "expected a reply of A, got another site's name"),
        ({"round": 2}, "expected round 1, got 2"),
        ({"arrays": {}}, "expected 2 arrays, got 2 missing and 0 unknown keys"),
        ({"arrays": ones(2.0, [])}, "expected 2 arrays, got 1 missing and 0 unknown keys"),
        ({"arrays": ones(2.0, ["slides", "blood"])}, "expected 2 arrays, got 0 missing and 1 unknown keys"),
        ({"arrays": with_array("PATIENT-1", [1.0])}, "expected 2 arrays, got 0 missing and 1 unknown keys"),
        (
            {"arrays": with_array("head.w", np.ones((2, 3), np.float32))},
            r"head.w: expected float32 \(3, 2\), got float32 \(2, 3\)",
        ),
        (
            {"arrays": with_array("head.w", np.ones((3, 2)))},
            r"head.w: expected float32 \(3, 2\), got float64 \(3, 2\)",
        ),
        ({"arrays": with_array("head.w", np.ones(6, np.float32))}, r"head.w: expected .*, got float32 \(6,\)"),
        ({"patients": {"fusion": 9}}, "expected a patient count of at least 1 for each held branch, got others"),
        ({"patients": {"slides": 8}}, "expected a patient count of at least 1 for each held branch"),
        ({"patients": {"slides": 8, "blood": 8, "fusion": 9}}, "expected a patient count of at least 1 for each held"),
        ({"patients": {"slides": 0, "fusion": 9}}, "expected a patient count of at least 1 for each held branch"),
        ({"patients": {"slides": -1, "fusion": 9}}, "expected a patient count of at least 1 for each held branch"),
        ({"patients": {"slides": 10, "fusion": 9}}, "expected no branch with more patients than the site has, got one"),
    ],
)
def test_everything_else_is_rejected(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected, match=f"^{reason}"):
        check_update(replace(GOOD, **changes), "A", 1, HELD, CURRENT)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_enough(value: float) -> None:
    arrays = ones(2.0, ["slides"])
    arrays["head.w"][1, 1] = value
    with pytest.raises(Rejected, match="^expected finite values, got NaN or infinity$"):
        check_update(replace(GOOD, arrays=arrays), "A", 1, HELD, CURRENT)


def test_an_absurd_norm_is_rejected() -> None:
    # twelve ones: sqrt(12) = 3.46 before, so 100 x (1 + 3.46) = 446 is the most
    check_update(replace(GOOD, arrays=ones(446.0 / 12**0.5, ["slides"])), "A", 1, HELD, CURRENT)
    with pytest.raises(Rejected, match="^expected a norm of at most 100 times the model's, got 447$"):
        check_update(replace(GOOD, arrays=ones(447.0 / 12**0.5, ["slides"])), "A", 1, HELD, CURRENT)


def test_control_variates_are_held_to_what_was_sent() -> None:
    expected = ones(0.0, ["slides"])
    check_control(GOOD, {})
    check_control(replace(GOOD, control=ones(2.0, ["slides"])), expected)
    check_control(replace(GOOD, control=ones(1e6, ["slides"])), expected)  # a gradient has no natural size
    for control, reason in (
        ({}, "expected 2 control variates, got 0 or others"),
        (ones(2.0, ["slides", "blood"]), "expected 2 control variates, got 3 or others"),
        (
            with_array("head.w", np.ones((2, 3), np.float32)),
            r"control of head.w: expected float32 \(3, 2\), got float32",
        ),
        (with_array("head.w", np.ones((3, 2))), r"control of head.w: expected float32 .*, got float64"),
        (with_array("head.w", np.full((3, 2), np.nan, np.float32)), "expected finite control variates, got NaN"),
    ):
        with pytest.raises(Rejected, match=f"^{reason}"):
            check_control(replace(GOOD, control=control), expected)
    with pytest.raises(Rejected, match="^expected 0 control variates, got 2"):
        check_control(replace(GOOD, control=expected), {})


def test_evaluations_of_the_task_are_accepted() -> None:
    check_evaluation({}, GRADE)
    check_evaluation(statistics(GRADE, 3), GRADE)
    check_evaluation(statistics(DEATH, 4), DEATH)


@pytest.mark.parametrize(
    ("evaluation", "task"),
    [
        ({"n": [3]}, GRADE),
        ({"confusion": [1]}, GRADE),
        ({**statistics(GRADE, 3), "n": [-1]}, GRADE),
        ({**statistics(GRADE, 3), "brier_sum": [float("nan")]}, GRADE),
        ({**statistics(GRADE, 3), "n": [1, 2]}, GRADE),
        ({**statistics(GRADE, 3), "confusion": [2**62, *[0] * 7, 2**62]}, GRADE),
        ({**statistics(GRADE, 3), "PATIENT-1": [1]}, GRADE),
        (statistics(DEATH, 4), GRADE),
        (statistics(GRADE, 3), DEATH),
        (statistics(GRADE, 4), GRADE),
    ],
)
def test_counts_of_another_task_are_rejected(evaluation: Mapping[str, Any], task: Task) -> None:
    with pytest.raises(Rejected, match="^expected evaluation counts of this task, got "):
        check_evaluation(evaluation, task)


@pytest.mark.usefixtures("flower_ids")
def test_a_closing_evaluation_in_another_sites_name_is_rejected() -> None:
    message = Message(EvaluateReply("B", statistics(GRADE, 3)).content(), 1, "evaluate")
    assert parse_evaluation("B", message, GRADE).evaluation == statistics(GRADE, 3)
    with pytest.raises(Rejected, match="^expected a reply of A, got another site's name$"):
        parse_evaluation("A", message, GRADE)
    with pytest.raises(Rejected, match="got another task's"):
        parse_evaluation("B", message, DEATH)


@pytest.mark.parametrize("memory", [2**20, 0])
def test_updates_wait_in_site_order(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    monkeypatch.setattr(server.updates, "MEMORY", memory)
    with Updates() as updates:
        for site, value in (("C", 3.0), ("A", 1.0), ("B", 2.0)):
            updates.add(update(site, {"fusion": 1}, ones(value, [])))
        assert len(updates) == 3
        assert [reply.site for reply in updates.replies] == ["A", "B", "C"]
        waiting = [(reply.site, float(arrays["head.w"][0, 0])) for reply, arrays in updates.waiting()]
        assert waiting == [("A", 1.0), ("B", 2.0), ("C", 3.0)]


@pytest.mark.parametrize("memory", [2**20, 0])
def test_what_waits_does_not_change_with_the_sites_memory(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    monkeypatch.setattr(server.updates, "MEMORY", memory)
    shared = ones(1.0, [])
    with Updates() as updates:
        updates.add(update("A", {"fusion": 1}, shared))
        shared["head.w"][:] = 9
        assert [float(arrays["head.w"].max()) for _, arrays in updates.waiting()] == [1.0]


def test_nothing_is_left_on_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(server.updates, "MEMORY", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Updates() as updates:
        updates.add(update("A", {"slides": 1, "fusion": 1}, ones(1.0, ["slides"])))
        assert len(list(tmp_path.rglob("*.npy"))) == 2
    assert list(tmp_path.iterdir()) == []
