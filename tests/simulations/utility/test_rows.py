"""What a curve's rows say together: worked out on made-up measures."""

from pathlib import Path

import numpy as np
import pytest

from shared.study import Study, read_study
from simulations.adapt import override
from simulations.ready import Ready
from simulations.scores import Measured
from simulations.utility.arms import CurveArm, arms_of
from simulations.utility.options import Options
from simulations.utility.rows import Table, findings_of, row_of

STUDIES = Path(__file__).parents[3] / "simulations" / "studies"
METRICS = ("auc", "ece", "brier")


def with_genes(name: str) -> Study:
    settings = ("modalities.slides=false", 'modalities.expression.groups={all=["TP53", "EGFR"]}')
    return override(read_study(STUDIES / f"{name}.toml"), settings)


@pytest.fixture(scope="module")
def arms() -> list[CurveArm]:
    plain, private = (with_genes(name) for name in ("features_linear", "private_features_linear"))
    options = Options(plain, private, cohort="features", epsilons=(1.0, 8.0))
    ready = [Ready(study, Path(), True, [], [], ()) for study in (plain, private)]
    return arms_of(options, *ready)


def table(value: float, spread: float = 0.02, worst: float = 0.4) -> Table:
    """One repeat of one fold with an AUC of `value`, drawn alike for every arm."""
    noise = np.random.default_rng(0).normal(0, spread, 500)

    def measured(auc: float) -> list[list[Measured]]:
        point = {name: np.array([auc]) for name in METRICS}
        return [[Measured(point, dict.fromkeys(METRICS, auc + noise), {}, 50, None)]]

    return {
        "own_site_mean": measured(value),
        "together": measured(0.1),
        "sites.A": measured(value),
        "sites.B": measured(worst),
    }


def test_the_arms_go_from_little_to_much_noise_and_keep_their_own_settings(arms: list[CurveArm]) -> None:
    assert [arm.name for arm in arms] == ["local", "federated", "epsilon 8", "epsilon 1", "pooled"]
    sigmas = [arm.terms.sigma for arm in arms if arm.terms is not None]
    assert sigmas == sorted(sigmas)
    assert len(sigmas) == 2
    assert [arm.study.training.schedule for arm in arms] == ["cosine", "cosine", "constant", "constant", "cosine"]


def test_a_curve_that_falls_is_monotone_and_one_that_rises_beyond_chance_is_not(arms: list[CurveArm]) -> None:
    falling = dict(zip((arm.name for arm in arms), map(table, (0.7, 0.9, 0.85, 0.6, 0.92)), strict=True))
    found = findings_of(arms, falling)
    assert found["monotone"]
    assert [(step["from"], step["to"]) for step in found["steps"]] == [
        ("federated", "epsilon 8"), ("epsilon 8", "epsilon 1"),
    ]  # fmt: skip
    assert not findings_of(arms, {**falling, "epsilon 1": table(0.87)})["monotone"]  # the draws are the same: no chance


def test_a_row_names_the_worst_hospital_and_what_was_learnt(arms: list[CurveArm]) -> None:
    tables = {arm.name: table(0.8) for arm in arms} | {"epsilon 1": table(0.52, worst=0.3)}
    private = row_of(arms[3], tables, {"A": 100, "B": 120})
    assert not private["learnt"]
    assert (private["worst_site"]["site"], private["worst_site"]["value"]) == ("B", pytest.approx(0.3))
    assert private["difference"]["difference"] == pytest.approx(-0.28)
    assert private["privacy"]["patients"] == 110
    assert private["privacy"]["epsilon"] <= 1.0
    plain = row_of(arms[1], tables, {"A": 100, "B": 120})
    assert (plain["learnt"], plain["difference"], plain["privacy"]) == (True, None, None)
