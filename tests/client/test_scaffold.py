"""A site's control variate: the formulas of algorithm 1, option II, and what is kept when."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.scaffold import Control
from shared.errors import WorkFailed
from shared.messages import Order
from shared.weights import Arrays


def order(round_: int, control_round: int = 0, c: float = 2.0, x: float = 1.0) -> Order:
    fields: dict[str, Any] = {"learning_rate": 0.5, "round": round_, "control_round": control_round}
    return Order("digest", {"w": np.full(2, x, np.float32)}, control={"w": np.full(2, c, np.float32)}, **fields)


def trained(value: float) -> Arrays:
    return {"w": np.full(2, value, np.float32)}


def test_the_new_control_variate_by_hand(tmp_path: Path) -> None:
    first = Control.of(tmp_path, order(1, c=0.0))
    assert first.correction()["w"].tolist() == [0.0, 0.0]
    # (x - y) / (4 steps x 0.5) = (1 - 0) / 2
    assert first.change(trained(0.0), 4)["w"].tolist() == [0.5, 0.5]
    second = Control.of(tmp_path, order(2, control_round=1))
    assert second.own["w"].tolist() == [0.5, 0.5]
    assert second.correction()["w"].tolist() == [1.5, 1.5]
    # c_i - c + (x - y) / 2 = 0.5 - 2 + 1, which is 1 less than before
    assert second.change(trained(-1.0), 4)["w"].tolist() == [-1.0, -1.0]
    assert Control.of(tmp_path, order(3, control_round=2)).own["w"].tolist() == [-0.5, -0.5]


def test_a_round_that_the_coordinator_did_not_take_is_forgotten(tmp_path: Path) -> None:
    Control.of(tmp_path, order(1, c=0.0)).change(trained(0.0), 4)
    for lost in (2, 3, 4, 5):
        control = Control.of(tmp_path, order(lost, control_round=1))
        assert control.own["w"].tolist() == [0.5, 0.5]
        control.change(trained(float(lost)), 4)
    assert Control.of(tmp_path, order(6, control_round=5)).own["w"].tolist() == [0.5 - 2 - 2, 0.5 - 2 - 2]


def test_a_new_run_of_the_same_study_starts_without(tmp_path: Path) -> None:
    for round_ in (1, 2, 3):
        Control.of(tmp_path, order(round_, control_round=round_ - 1)).change(trained(0.0), 4)
    again = Control.of(tmp_path, order(1))
    assert again.own["w"].tolist() == [0.0, 0.0]
    again.change(trained(0.0), 4)
    assert [path.name for path in tmp_path.iterdir()] == ["control-1.safetensors"]


def test_a_lost_control_variate_is_an_error(tmp_path: Path) -> None:
    Control.of(tmp_path, order(1)).change(trained(0.0), 4)
    with pytest.raises(WorkFailed, match="expected the control variate of round 2 in .*, got none; restore the site's"):
        Control.of(tmp_path, order(3, control_round=2))
