"""One row of a utility curve, and what the rows say together."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from shared.privacy.accounting import epsilon
from shared.privacy.planning import plan_of
from shared.privacy.terms import Terms
from shared.weights import new_model
from simulations.averages import average, difference
from simulations.multiplicity import compared
from simulations.results import Repeats
from simulations.utility.arms import CurveArm

__all__ = ["CALIBRATION", "CHANCE", "REFERENCE", "Table", "findings_of", "row_of"]

CALIBRATION = {"classification": ("ece", "brier"), "survival": ("ibs",)}
CHANCE = 0.5  # of an AUC or a c-index
Z = 1.96
REFERENCE = "federated"
TRAINING = ("rounds", "optimizer", "learning_rate", "schedule", "batch_size", "local_epochs")

Table = dict[str, Repeats]
"""Where -> repeats of folds: `own_site_mean`, `together`, `sites.<id>`."""


def row_of(arm: CurveArm, tables: Mapping[str, Table], patients: Mapping[str, int]) -> dict[str, Any]:
    """The row of one arm.

    Parameters
    ----------
    tables
        What was measured, by the name of the arm.
    patients
        Site -> training patients.
    """
    kind = arm.study.task.kind
    table, metric = tables[arm.name], compared(kind, "own_site_mean")[0]
    parameters = sum(parameter.numel() for parameter in new_model(arm.study).parameters())
    values = {name: value.to_json() for name, value in average(table["own_site_mean"]).items()}
    together = average(table["together"])
    change = difference(table["own_site_mean"], tables[REFERENCE]["own_site_mean"], metric)
    return {
        "arm": arm.name,
        "architecture": arm.study.model.architecture,
        "parameters": parameters,
        "values": values,
        "learnt": _above_chance(values[metric], len(table["own_site_mean"])),
        "worst_site": _worst(table, metric),
        "together": {name: together[name].to_json() for name in (metric, *CALIBRATION[kind])},
        "difference": change.__dict__ if change and arm.name != REFERENCE else None,
        "training": {name: getattr(arm.study.training, name) for name in TRAINING},
        "privacy": _privacy(arm.terms, patients, parameters) if arm.terms else None,
    }


def _above_chance(value: Mapping[str, Any], repeats: int) -> bool:
    """By more than 1.96 standard errors, those of patients and of seeds (so of the noise) taken together."""
    if value["value"] is None or value["low"] is None:
        return False
    patients, seeds = (value["high"] - value["low"]) / (2 * Z), (value["sd"] or 0.0) / math.sqrt(repeats)
    return bool(value["value"] - Z * math.hypot(patients, seeds) > CHANCE)


def _worst(table: Table, metric: str) -> dict[str, Any] | None:
    """The hospital with the lowest value; None where no hospital has one."""
    found = {where.removeprefix("sites."): average(parts)[metric] for where, parts in table.items() if "." in where}
    known = {site: value for site, value in found.items() if value.value is not None}
    if not known:
        return None
    site = min(known, key=lambda name: (known[name].value, name))
    return {"site": site, **known[site].to_json()}


def _privacy(terms: Terms, patients: Mapping[str, int], parameters: int) -> dict[str, Any]:
    mean = round(sum(patients.values()) / len(patients))
    plan = plan_of(terms, patients=mean, sites=len(patients), parameters=parameters)
    return {
        "epsilon": epsilon([terms.study], terms.delta),
        "epsilon_replace_one": epsilon([terms.study], terms.delta, "replace_one"),
        "delta": terms.delta,
        "sigma": terms.sigma,
        "clip": terms.clip,
        "sample_rate": terms.sample_rate,
        "steps_per_round": terms.steps_per_round,
        "expected_batch": terms.expected_batch,
        "patients": mean,
        "strength": plan.strength,
        "verdict": plan.verdict,
    }


def findings_of(arms: Sequence[CurveArm], tables: Mapping[str, Table]) -> dict[str, Any]:
    """Whether more noise ever did better than less, beyond what chance explains."""
    private = [arm for arm in arms if arm.terms is not None]
    metric, steps = compared(arms[0].study.task.kind, "own_site_mean")[0], []
    for first, second in zip([REFERENCE, *(arm.name for arm in private)], (arm.name for arm in private), strict=False):
        change = difference(tables[second]["own_site_mean"], tables[first]["own_site_mean"], metric)
        if change is not None:
            steps.append({"from": first, "to": second, **change.__dict__})
    rising = [step for step in steps if step["low"] is not None and step["low"] > 0]
    return {"monotone": not rising, "steps": steps}
