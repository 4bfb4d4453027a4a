import numpy as np
import pytest

from shared.errors import WorkFailed
from shared.metrics import Scored


def scored(scores: list[list[float]], edges: tuple[float, ...] = (), kind: str = "classification") -> Scored:
    n = len(scores)
    zeros = np.zeros(n, dtype=np.int64)
    return Scored(kind, np.array(scores), zeros, np.zeros(n), zeros, np.array(["A"] * n), edges)  # type: ignore[arg-type]


def test_risk_is_minus_the_sum_of_the_curve() -> None:
    assert scored([[0.9, 0.5], [1.0, 1.0]], (12.0,), "survival").risk.tolist() == [-1.4, -2.0]


def test_take_keeps_order_and_repeats() -> None:
    found = scored([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]).take([2, 0, 2])
    assert found.scores[:, 0].tolist() == [0.3, 0.1, 0.3]


def test_take_of_nobody_and_of_a_mask() -> None:
    whole = scored([[0.1, 0.9], [0.2, 0.8]])
    assert len(whole.take([])) == 0
    assert whole.take(np.array([False, True])).scores.tolist() == [[0.2, 0.8]]


def test_concat_is_in_order() -> None:
    joined = Scored.concat([scored([[0.1, 0.9]]), scored([[0.2, 0.8], [0.3, 0.7]])])
    assert joined.scores[:, 0].tolist() == [0.1, 0.2, 0.3]
    assert joined.site.tolist() == ["A", "A", "A"]


def test_concat_refuses_two_tasks_and_none() -> None:
    parts = [scored([[0.1, 0.9]]), scored([[0.1, 0.9]], (12.0,), "survival")]
    with pytest.raises(ValueError, match="parts of one task, got 2"):
        Scored.concat(parts)
    with pytest.raises(ValueError, match="parts of one task, got 0"):
        Scored.concat([])


def test_a_diverged_model_is_named_as_such() -> None:
    with pytest.raises(WorkFailed, match="NaN or infinity for 1 of 2 patients; the training diverged"):
        scored([[0.5, 0.5], [np.nan, 0.5]])


def test_fields_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="as many rows in every field"):
        Scored(
            "classification", np.zeros((2, 2)), np.zeros(1, int), np.zeros(2), np.zeros(2, int), np.array(["A", "B"])
        )
    with pytest.raises(ValueError, match="2 or more"):
        scored([[0.5]])
    with pytest.raises(ValueError, match="expected 3 survival columns, got 2"):
        scored([[0.5, 0.5]], (12.0, 24.0), "survival")
