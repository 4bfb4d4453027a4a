"""What the report says of further arms and of many comparisons."""

from typing import Any

import pytest

from simulations.report.arm_sentences import arm_meanings, extra_arms, multiplicity


def _metrics(**arms: float) -> dict[str, Any]:
    places = ("own_site_mean", "unseen")
    return {"arms": {arm: {place: {"auc": {"value": v}} for place in places} for arm, v in arms.items()}}


def _row(a: str, b: str, where: str, difference: float, low: float, high: float) -> dict[str, Any]:
    return {"a": a, "b": b, "where": where, "metric": "auc", "difference": difference, "low": low, "high": high}


def test_only_arms_of_the_run_are_explained() -> None:
    assert [name for name, _ in arm_meanings(_metrics(federated=0.8, iid=0.9))] == ["Federated", "Dealt at random"]


def test_a_clear_gain_and_an_unclear_loss() -> None:
    metrics = _metrics(federated=0.8, finetuned=0.85)
    metrics["comparisons"] = [
        _row("finetuned", "federated", "own_site_mean", 0.05, 0.02, 0.08),
        _row("finetuned", "federated", "unseen", -0.01, -0.05, 0.03),
    ]
    assert extra_arms(metrics) == [
        "Training the federated model further at each hospital changes AUC from 0.800 to 0.850 on own patients "
        "(difference 0.050, 95 % interval 0.020–0.080) and from 0.800 to 0.850 at unseen hospitals (difference −0.010, "
        "95 % interval −0.050 to 0.030; not a clear difference)."
    ]


def test_the_control_is_told_from_the_federation_whichever_way_it_was_compared() -> None:
    metrics = _metrics(federated=0.8, iid=0.86)
    metrics["comparisons"] = [_row("federated", "iid", "unseen", -0.06, -0.09, -0.03)]
    assert extra_arms(metrics) == [
        "Dealing the same patients to the hospitals at random changes AUC from 0.800 to 0.860 on own patients and from "
        "0.800 to 0.860 at unseen hospitals (difference 0.060, 95 % interval 0.030–0.090): what the differences "
        "between hospitals cost."
    ]


def test_no_further_arm_says_nothing() -> None:
    assert extra_arms(_metrics(federated=0.8, local=0.7)) == []


@pytest.mark.parametrize(("p_holm", "part"), [(None, "none is corrected for multiplicity"), (0.04, "Holm's step-down")])
def test_multiplicity_is_stated(p_holm: float | None, part: str) -> None:
    rows = [{**_row("a", "b", "unseen", 0.1, 0, 0.2), "p_holm": p_holm} for _ in range(20)]
    said = multiplicity({"comparisons": rows})
    assert said.startswith("20 comparisons of arms stand in this table")
    assert part in said
    assert ("about 1.0 of so many" in said) == (p_holm is None)
    assert multiplicity({}) == ""
