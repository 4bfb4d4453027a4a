"""Whether a model serves women and men, young and old alike: its main metrics in groups of patients.

Own test patients and unseen patients count together, each scored by the model that would be used there. A group of
fewer than 10 patients is not shown, nor how many they are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shared.cohort.patients import number_of
from shared.metrics import Scored, measure, plain_mean, reasons
from shared.study import Study
from simulations.averages import average
from simulations.bootstrap import patient_weights, seed_of
from simulations.multiplicity import compared
from simulations.scores import Measured, People, Scores

__all__ = ["FEWEST", "Groups", "fairness", "groups_of", "measure_groups"]

FEWEST = 10
AGES = ((0, 40, "under 40"), (40, 60, "40 to 59"), (60, 200, "60 and older"))
Groups = Mapping[str, Mapping[str, frozenset[int]]]
"""Attribute -> group -> the numbers of its patients (`Patients.numbers`)."""


def groups_of(clinical: pd.DataFrame) -> Groups:
    """Groups by sex and by age at diagnosis, as far as the clinical table has these columns."""
    numbers = [number_of(case) for case in clinical["case_id"]]
    found: dict[str, dict[str, frozenset[int]]] = {}
    if "sex" in clinical.columns:
        sexes = clinical["sex"].astype(str).str.strip().str.lower()
        found["sex"] = {
            value: frozenset(number for number, sex in zip(numbers, sexes, strict=True) if sex == value)
            for value in sorted(set(sexes) - {"", "nan", "none", "unknown"})
        }
    if "age_at_diagnosis" in clinical.columns:
        ages = pd.to_numeric(clinical["age_at_diagnosis"], errors="coerce").tolist()
        found["age"] = {
            name: frozenset(number for number, age in zip(numbers, ages, strict=True) if low <= age < high)
            for low, high, name in AGES
        }
    return found


def measure_groups(scores: Scores, study: Study, groups: Groups) -> dict[str, Measured]:
    """`attribute.group` -> its metrics in one fold; a group without a patient is left out."""
    every = [Scored.concat([scores.own, unseen]) for unseen in scores.unseen] or [scores.own]
    found = {}
    for attribute, members in groups.items():
        for group, numbers in members.items():
            rows = np.flatnonzero(np.isin(every[0].who, list(numbers)))
            if len(rows):
                parts = [each.take(rows) for each in every]
                weights = patient_weights(parts[0], seed_of(study))
                first = parts[0]
                found[f"{attribute}.{group}"] = Measured(
                    plain_mean([measure(part) for part in parts]),
                    plain_mean([measure(part, weights) for part in parts]),
                    reasons(first),
                    len(rows),
                    first.events if first.kind == "survival" else None,
                    People.of(first),
                )
    return found


def fairness(study: Study, measured: Mapping[str, Mapping[str, Sequence[Sequence[Measured]]]]) -> dict[str, Any]:
    """The section `fairness` of metrics.json from arm -> `attribute.group` -> folds of the first repeat.

    Returns
    -------
    arm -> attribute -> [{"group", "metric", "n", "value", "low", "high", "reason"}]
    """
    metric = compared(study.task.kind, "own_site_mean")[0]
    section: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for arm, table in measured.items():
        for where, repeats in table.items():
            attribute, _, group = where.partition(".")
            value = average([folds for folds in repeats if folds])[metric].to_json()
            row = {
                "group": group,
                "metric": metric,
                **{key: value[key] for key in ("n", "value", "low", "high", "reason")},
            }
            if value["n"] is None or int(value["n"]) < FEWEST:
                row |= {"n": None, "value": None, "low": None, "high": None, "reason": f"fewer than {FEWEST} patients"}
            section.setdefault(arm, {}).setdefault(attribute, []).append(row)
    return section
