import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import CohortError
from shared.study import SurvivalTask
from shared.tasks import Survival, task_of

TASK = Survival(SurvivalTask(kind="survival"))  # edges 12, 24, 60 months: K = 4


def table(times: list[object], events: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"os_months": times, "os_event": events})


def test_the_task_of_survival_settings():
    survival = task_of(TASK.settings)
    assert (survival.kind, survival.outputs) == ("survival", 4)


def test_a_bin_holds_its_lower_edge():
    labels = TASK.labels(table(["0.1", "11.99", "12", "24.0", "59.9", "60", "200"], ["1"] * 7))
    assert labels.y.tolist() == [0, 0, 1, 2, 2, 3, 3]
    assert labels.time.tolist() == pytest.approx([0.1, 11.99, 12, 24, 59.9, 60, 200])


def test_reasons_for_patients_that_are_left_out():
    labels = TASK.labels(table(["5", "0", "-1", "", "7", "NA"], ["0", "1", "1", "1", "", "NA"]))
    assert labels.reason == ("", "time <= 0", "time <= 0", "time missing", "event missing", "time missing")
    assert labels.y.tolist() == [0, -1, -1, -1, -1, -1]
    assert labels.cens.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert np.isfinite(labels.time).all()
    assert TASK.strata(labels).tolist() == [0, -1, -1, -1, -1, -1]


def test_strata_are_events():
    labels = TASK.labels(table([5, 6, 7], [1, 0, 1.0]))
    assert labels.cens.tolist() == [0.0, 1.0, 0.0]
    assert labels.event.tolist() == [1.0, 0.0, 1.0]
    assert TASK.strata(labels).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("times", "events", "message"),
    [
        (["5", "soon"], ["0", "1"], r"os_months: expected numbers, got 'soon' \(1\); correct the table"),
        (["5", "inf"], ["0", "1"], r"os_months: expected numbers, got 'inf' \(1\)"),
        (["5", "6"], ["0", "dead"], r"os_event: expected numbers, got 'dead' \(1\)"),
        (["5", "6"], ["2", "2"], r"os_event: expected 1 \(event\) or 0 \(censored\), got '2' \(2\); correct"),
    ],
)
def test_what_is_no_time_or_event_is_refused(times, events, message):
    with pytest.raises(CohortError, match=message):
        TASK.labels(table(times, events))


def test_a_missing_column_is_refused():
    with pytest.raises(CohortError, match="expected the column 'os_event', got os_months"):
        TASK.labels(pd.DataFrame({"os_months": ["1"]}))


@pytest.mark.parametrize(
    ("y", "cens", "expected"),
    [
        (0, 0.0, math.log(2)),  # dies in bin 0: -log h
        (3, 0.0, 4 * math.log(2)),  # lives through three bins, dies in the last
        (3, 1.0, 2 * math.log(2)),  # half of -log S_3
        (0, 1.0, 0.5 * math.log(2)),
    ],
)
def test_loss_at_hazards_of_one_half(y, cens, expected, batch_of, output_of):
    loss = TASK.loss(output_of(torch.zeros(1, 4)), batch_of([y], [cens]))
    torch.testing.assert_close(loss, torch.tensor([expected]))


@given(
    logits=st.lists(st.floats(-6, 6, width=32), min_size=4, max_size=4),
    y=st.integers(0, 3),
    cens=st.sampled_from([0.0, 1.0]),
)
def test_log_space_equals_the_product_form(logits, y, cens):
    z = torch.tensor([logits], dtype=torch.float64)
    hazard = torch.sigmoid(z)
    survival = torch.cumprod(1 - hazard, dim=1)
    reached = torch.cat([torch.ones(1, 1, dtype=torch.float64), survival], dim=1)
    seen = -(torch.log(reached[0, y]) + torch.log(hazard[0, y]))
    expected = (1 - cens) * seen + 0.5 * cens * -torch.log(survival[0, y])
    batch = SimpleNamespace(y=torch.tensor([y]), cens=torch.tensor([cens], dtype=torch.float64))
    output = {"logits": z, "aux_loss": torch.zeros(1), "embedding": z, "attention": {}}
    torch.testing.assert_close(TASK.loss(output, batch)[0], expected)
    torch.testing.assert_close(TASK.scores(output), survival)


@pytest.mark.parametrize("discount", [0.0, 0.25])
def test_the_discount_is_the_share_of_a_censored_patients_likelihood_left_out(discount, batch_of, output_of):
    task = Survival(SurvivalTask(kind="survival", censored_discount=discount))
    loss = task.loss(output_of(torch.zeros(2, 4)), batch_of([3, 3], [1.0, 0.0]))
    torch.testing.assert_close(loss, torch.tensor([(1 - discount) * 4 * math.log(2), 4 * math.log(2)]))


def test_extreme_logits_give_a_finite_loss_and_slope(batch_of, output_of):
    logits = torch.tensor([[200.0] * 4, [-200.0] * 4]).requires_grad_()
    loss = TASK.loss(output_of(logits), batch_of([3, 0], [0.0, 0.0]))
    torch.testing.assert_close(loss.detach(), torch.tensor([600.0, 200.0]))
    loss.sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_the_curve_falls_and_a_higher_hazard_means_a_shorter_life(output_of):
    curve = TASK.scores(output_of(torch.tensor([[0.0] * 4, [1.0] * 4])))
    torch.testing.assert_close(curve[0], torch.tensor([0.5, 0.25, 0.125, 0.0625]))
    assert (curve[1] < curve[0]).all()


def test_no_patients_no_loss(batch_of, output_of):
    assert TASK.loss(output_of(torch.zeros(0, 4)), batch_of([])).shape == (0,)
    assert TASK.scores(output_of(torch.zeros(0, 4))).shape == (0, 4)


def test_one_edge_makes_two_bins(batch_of, output_of):
    short = Survival(SurvivalTask(kind="survival", time_edges=(6.0,)))
    assert short.outputs == 2
    loss = short.loss(output_of(torch.zeros(1, 2)), batch_of([1], [1.0]))
    torch.testing.assert_close(loss, torch.tensor([math.log(2)]))
