"""The server's control variate is the weighted mean of the sites'."""

import numpy as np
import pytest

from server.strategies.per_branch import PerBranch
from server.strategies.scaffold import ControlVariate
from shared.messages import TrainReply
from shared.weights import Arrays
from tests.federation import tiny_study
from tests.server.updates import collected, ones, update

STUDY = tiny_study(federation={"strategy": "scaffold"}, training={"optimizer": "sgd"})


def reply(site: str, patients: dict[str, int], change: float) -> TrainReply:
    held = [branch for branch in patients if branch != "fusion"]
    sent = update(site, patients, ones(1.0, held))
    return TrainReply(**{**sent.__dict__, "control": ones(change, held)})


def took(control: ControlVariate, round_: int, *replies: TrainReply) -> None:
    with collected(replies) as updates:
        control.take(round_, updates.controls())


def values(control: ControlVariate) -> dict[str, float]:
    return {name: round(float(array.flat[0]), 6) for name, array in control.arrays.items()}


def test_c_is_the_weighted_mean_of_all_c_i_branch_by_branch() -> None:
    control = ControlVariate()
    took(control, 1, reply("B", {"slides": 10, "fusion": 30}, 1.0), reply("A", {"slides": 30, "fusion": 30}, 3.0))
    assert values(control) == {"branches.slides.w": 2.5, "head.w": 2.0}
    # only A answers: its c_i goes from 3 to 7, B's stays 1
    took(control, 2, reply("A", {"slides": 30, "fusion": 30}, 4.0))
    assert values(control) == {"branches.slides.w": 5.5, "head.w": 4.0}
    # C is new, with c_i = 0 before and 2 after: (7 + 1 + 2) x 30 / 90
    took(control, 3, reply("C", {"fusion": 30}, 2.0))
    assert values(control) == {"branches.slides.w": 5.5, "head.w": round(10 / 3, 6)}
    assert control.taken == {"A": 2, "B": 1, "C": 3}


def test_c_stays_the_mean_when_a_site_excludes_patients() -> None:
    control = ControlVariate()
    took(control, 1, reply("A", {"fusion": 100}, 1.0), reply("B", {"fusion": 20}, 0.0))
    before = values(control)
    took(control, 2, reply("A", {"fusion": 20}, 0.0))  # 80 are gone; no c_i changes
    assert values(control) == before == {"head.w": round(5 / 6, 6)}
    took(control, 3, reply("A", {"fusion": 20}, -1.0))  # all c_i are 0
    assert abs(values(control)["head.w"]) < 1e-6


def test_sites_get_c_of_what_they_hold_and_never_of_running_statistics() -> None:
    current: Arrays = {**ones(), "norm.running_mean": np.zeros(2, np.float32)}
    control = ControlVariate()
    assert {name: float(array.max()) for name, array in control.of(current, {"slides"}).items()} == {
        "branches.slides.w": 0.0,
        "head.w": 0.0,
    }
    took(control, 1, reply("A", {"slides": 1, "blood": 1, "fusion": 1}, 3.0))
    assert set(control.of(current, {"blood"})) == {"branches.blood.w", "head.w"}
    assert float(control.of(current, {"blood"})["branches.blood.w"].max()) == 3.0


def test_a_branch_below_its_quorum_keeps_its_arrays_but_not_its_c() -> None:
    plan = PerBranch(STUDY)
    replies = [reply("A", {"slides": 4, "fusion": 4}, 1.0), reply("B", {"fusion": 4}, 3.0)]
    with collected(replies) as updates:
        new, kept = plan.aggregate(1, ones(9.0, ["slides"]), updates)
    assert kept == ["slides"]
    assert float(new["branches.slides.w"].max()) == 9.0
    assert float(new["head.w"].max()) == 1.0
    assert plan.control is not None
    assert values(plan.control) == {"branches.slides.w": 1.0, "head.w": 2.0}


def test_the_state_survives_a_restart() -> None:
    plan, resumed = PerBranch(STUDY), PerBranch(STUDY)
    assert plan.control is not None
    took(plan.control, 4, reply("A", {"slides": 7, "fusion": 9}, 0.3), reply("B", {"fusion": 5}, 0.1))
    resumed.restore({name: np.array(array) for name, array in plan.state().items()})
    assert resumed.control is not None
    for control in (plan.control, resumed.control):
        took(control, 5, reply("B", {"fusion": 5}, 0.7))
    assert resumed.control.taken == plan.control.taken == {"A": 4, "B": 5}
    assert resumed.control.patients == plan.control.patients
    assert {n: a.tobytes() for n, a in resumed.state().items()} == {n: a.tobytes() for n, a in plan.state().items()}


@pytest.mark.parametrize("memory", [2**20, 0])
def test_changes_wait_like_updates_in_site_order(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    monkeypatch.setattr("server.updates.MEMORY", memory)
    replies = [reply(site, {"fusion": 1}, value) for site, value in (("C", 3.0), ("A", 1.0), ("B", 2.0))]
    with collected(replies) as updates:
        found = [(r.site, float(change["head.w"].max())) for r, change in updates.controls()]
        assert found == [("A", 1.0), ("B", 2.0), ("C", 3.0)]
        assert [float(arrays["head.w"].max()) for _, arrays in updates.waiting()] == [1.0, 1.0, 1.0]
