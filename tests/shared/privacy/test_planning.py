"""Plans worked out by hand."""

import math
import tomllib
from typing import Any

import pytest

from shared.errors import BadInput
from shared.privacy.accounting import epsilon
from shared.privacy.events import Event
from shared.privacy.planning import Plan, make_plan, plan_of
from shared.study import Privacy
from tests.federation import tiny_study

BASE: dict[str, Any] = {
    "patients": 120, "sites": 8, "epsilon": 4.0, "test_fraction": 0.0, "delta": 1e-5, "rounds": 30, "sample_rate": 1.0,
    "expected_batch": None, "clip": 1.0, "parameters": 20_000,
}  # fmt: skip


def plan(**changes: Any) -> Plan:
    return make_plan(**{**BASE, **changes})


def test_the_noise_is_that_of_the_whole_study_over_the_public_denominator() -> None:
    found = plan(clip=0.5, expected_batch=100.0)
    assert found.sigma == pytest.approx(5.93, rel=0.004)  # the specification's table, 30 steps with everybody
    assert found.site_noise == pytest.approx(found.sigma * 0.5 / 100)
    assert found.mean_noise == pytest.approx(found.site_noise / math.sqrt(8))
    assert plan().expected_batch == 120.0


def test_a_sampled_study_passes_once_over_its_patients_a_round() -> None:
    found = plan(patients=100, sample_rate=0.1)
    assert (found.steps_per_round, found.steps, found.expected_batch) == (10, 300, 10.0)
    assert found.sigma == pytest.approx(2.07, abs=0.005)
    assert found.site_noise == pytest.approx(0.21, abs=0.005)  # C, as the specification has it


def test_strength_is_the_longest_signal_over_the_noise_in_its_direction() -> None:
    found = plan(patients=50, sites=4, parameters=2500)
    signal = 30 * 1.0  # steps x C, every gradient as long as it may be
    noise = math.sqrt(30) * found.sigma / 50 / math.sqrt(4)
    assert found.strength == pytest.approx(signal / noise)
    assert found.update_ratio == pytest.approx(signal / (noise * 50))  # the noise in 2,500 directions together
    assert plan(expected_batch=7.0).strength == plan(clip=0.1).strength == plan(parameters=5).strength


def test_patients_that_are_held_out_train_nothing() -> None:
    assert plan(test_fraction=0.3).patients == 84
    assert plan(test_fraction=0.3).expected_batch == 84.0
    assert plan(test_fraction=0.3, patients=10).patients == 7
    assert plan(test_fraction=0.99, patients=3).patients == 1


def test_without_sampling_the_number_of_rounds_changes_nothing() -> None:
    assert plan(rounds=90).strength == pytest.approx(plan().strength, rel=0.002)


def test_costs_are_those_of_the_accountant() -> None:
    found = plan()
    assert found.cost() <= 4.0
    assert found.cost(3) == epsilon([Event(1.0, found.sigma, 90)], 1e-5)
    assert found.cost() < found.cost(2) < 2 * found.cost()
    assert found.cost(1, "replace_one") == pytest.approx(9.1, abs=0.1)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"patients": 40, "epsilon": 1.0, "test_fraction": 0.3}, "nothing"),
        ({"patients": 40, "epsilon": 2.0, "test_fraction": 0.3}, "doubtful"),
        ({"patients": 200, "epsilon": 8.0, "test_fraction": 0.3}, "plausible"),
        ({"patients": 200, "epsilon": 8.0, "parameters": 20_000_000}, "doubtful"),
    ],
)
def test_the_verdict_is_plain(changes: dict[str, Any], verdict: str) -> None:
    assert plan(**changes).verdict == verdict


def test_what_would_do_is_told() -> None:
    most = plan().most_parameters
    assert plan(parameters=most).verdict == "plausible"
    assert plan(parameters=most + most // 1000).verdict == "doubtful"
    little = plan(epsilon=0.5)
    assert plan(epsilon=little.least_epsilon * 1.01).verdict == "plausible"
    assert plan(epsilon=little.least_epsilon * 0.99).verdict == "doubtful"


def test_the_section_is_one_that_a_study_takes_with_the_same_noise() -> None:
    found = plan(patients=37, epsilon=2.5, sample_rate=0.2, clip=0.3, rounds=4)
    written = tomllib.loads(found.section)["privacy"]
    assert Privacy(**written).expected_batch == pytest.approx(7.4)
    study = tiny_study(privacy=written, training={"rounds": 4}, modalities={"expression": None})
    assert study.terms is not None
    assert plan_of(study.terms, patients=37, sites=8, parameters=20_000) == found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patients": 0}, "--patients: expected at least 1, got 0; correct it"),
        ({"sites": -1}, "--sites: expected at least 1, got -1; correct it"),
        ({"rounds": 0}, "--rounds: expected at least 1, got 0; correct it"),
        ({"parameters": 0}, "--parameters: expected at least 1, got 0; correct it"),
        ({"epsilon": 0.0}, "--epsilon: expected a number above 0, got 0; correct it"),
        ({"epsilon": math.inf}, "--epsilon: expected a number above 0, got inf; correct it"),
        ({"clip": math.nan}, "--clip: expected a number above 0, got nan; correct it"),
        ({"expected_batch": -1.0}, "--expected-batch: expected a number above 0, got -1; correct it"),
        ({"sample_rate": 1.5}, "--sample-rate: expected at least 0.0001 and at most 1, got 1.5; correct it"),
        ({"sample_rate": 1e-9}, "--sample-rate: expected at least 0.0001 and at most 1, got 1e-09; correct it"),
        ({"test_fraction": 1.0}, "--test-fraction: expected at least 0 and less than 1, got 1; correct it"),
        ({"delta": 0.0}, "--delta: expected 1e-12 or more and less than 1, got 0; write e.g. 1e-5"),
        ({"delta": 1e-3}, "--delta: expected at most 1/(10 x 199) = 0.0005, since the promise may fail with that"),
        ({"patients": 5000}, "--patients: expected fewer than 5000, got 5000; larger hospitals publish no upper"),
        ({"epsilon": 1e-9, "delta": 1e-12}, "--epsilon: expected an epsilon that some noise can keep, got 1e-09 at"),
    ],
)
def test_bad_numbers_get_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        plan(**changes)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_all_bad_numbers_are_named_at_once() -> None:
    with pytest.raises(BadInput) as caught:
        plan(patients=0, sites=0, clip=0.0, delta=2.0)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "--patients", "--sites", "--clip", "--delta",
    ]  # fmt: skip
