"""The main metric in groups of patients, small ones suppressed."""

import numpy as np
import pandas as pd
import pytest

from shared.cohort.patients import number_of
from shared.metrics import Scored, measure
from simulations.fairness import fairness, groups_of, measure_groups
from simulations.scores import Scores
from tests.federation import tiny_study

CASES = [f"P{i}" for i in range(60)]
CLINICAL = pd.DataFrame(
    {
        "case_id": CASES,
        "sex": ["Female" if i % 2 else "male" for i in range(56)] + ["", "unknown", "diverse", "diverse"],
        "age_at_diagnosis": [str(20 + i) for i in range(59)] + [""],
    }
)
STUDY = tiny_study()


def scored(cases: list[str], seed: int = 0) -> Scored:
    rng = np.random.default_rng(seed)
    y = np.array([number_of(case) % 3 for case in cases])
    scores = rng.dirichlet(np.ones(3), len(cases)) + np.eye(3)[y]
    zeros = np.zeros(len(cases))
    who = np.array([number_of(case) for case in cases])
    names = np.full(len(cases), "A")
    return Scored("classification", scores / 2, y, zeros, zeros.astype(int), names, who=who)


def test_groups_are_those_of_the_clinical_table() -> None:
    groups = groups_of(CLINICAL)
    assert {name: len(members) for name, members in groups["sex"].items()} == {"diverse": 2, "female": 28, "male": 28}
    assert {name: len(members) for name, members in groups["age"].items()} == {
        "under 40": 20,
        "40 to 59": 20,
        "60 and older": 19,
    }
    assert groups_of(CLINICAL[["case_id"]]) == {}


def test_own_and_unseen_patients_count_together() -> None:
    own, unseen = scored(CASES[:40]), scored(CASES[40:], 1)
    found = measure_groups(Scores(own, (unseen,), True), STUDY, groups_of(CLINICAL))
    both = Scored.concat([own, unseen])
    women = both.take([i for i, case in enumerate(CASES) if CLINICAL["sex"][i] == "Female"])
    assert found["sex.female"].n == len(women) == 28
    assert found["sex.female"].point["accuracy"][0] == measure(women)["accuracy"][0]


def test_several_models_are_averaged() -> None:
    own, models = scored(CASES[:40]), (scored(CASES[40:], 1), scored(CASES[40:], 2))
    found = measure_groups(Scores(own, models, False), STUDY, groups_of(CLINICAL))["age.60 and older"]
    one, other = (
        measure_groups(Scores(own, (m,), True), STUDY, groups_of(CLINICAL))["age.60 and older"] for m in models
    )
    assert found.point["auc"][0] == pytest.approx((one.point["auc"][0] + other.point["auc"][0]) / 2)


def test_a_small_group_is_not_shown_nor_counted() -> None:
    found = measure_groups(Scores(scored(CASES), (), True), STUDY, groups_of(CLINICAL))
    section = fairness(STUDY, {"federated": {where: [[measured]] for where, measured in found.items()}})
    rows = {row["group"]: row for row in section["federated"]["sex"]}
    assert rows["diverse"] == {
        "group": "diverse",
        "metric": "auc",
        "n": None,
        "value": None,
        "low": None,
        "high": None,
        "reason": "fewer than 10 patients",
    }
    assert rows["female"]["n"] == 28
    assert rows["female"]["low"] < rows["female"]["value"] < rows["female"]["high"]
