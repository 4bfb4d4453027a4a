"""What a run with privacy has cost, as the coordinator can know it: never less than the site's own ledger."""

from typing import Any

import pytest

from server.private_results import charges_of, privacy_of_sites
from shared.privacy.accounting import epsilon
from tests.private_studies import private_study


def record(missing: dict[str, str] | None = None, **charges: int) -> dict[str, Any]:
    return {"sites": {site: {"charges": count} for site, count in charges.items()}, "missing": missing or {}}


def test_a_site_tells_how_often_it_was_charged() -> None:
    assert charges_of([record(A=1, B=1), record(A=2, B=3)]) == {"A": 2, "B": 3}  # B trained a round again


@pytest.mark.parametrize("why", ["no reply before the deadline", "the site or its link failed", "CLIENT_FAILED"])
def test_a_round_without_an_answer_counts_as_charged(why: str) -> None:
    assert charges_of([record(A=1), record({"A": why}), record({"A": why})]) == {"A": 3}
    assert charges_of([record({"B": why}, A=1)]) == {"A": 1, "B": 1}


def test_a_site_that_answers_again_tells_itself() -> None:
    silent = {"A": "no reply before the deadline"}
    assert charges_of([record(A=1), record(silent), record(A=2)]) == {"A": 2}  # the order never reached it
    assert charges_of([record(A=1), record(silent)], {"A": 1}) == {"A": 1}
    assert charges_of([record(A=1), record(silent)], {"A": 2}) == {"A": 2}


@pytest.mark.parametrize(
    "why", ["BUDGET_EXCEEDED", "NOT_APPROVED", "not online", "the SuperLink did not take the order"]
)
def test_a_round_that_was_refused_or_never_sent_costs_nothing(why: str) -> None:
    assert charges_of([record(A=1), record({"A": why})]) == {"A": 1}


def test_the_figure_is_that_of_all_rounds_that_may_have_been_charged() -> None:
    study = private_study()
    assert study.terms is not None
    found = privacy_of_sites(study, ["A"], [record(A=1), record({"A": "no reply before the deadline"})])["A"]
    assert found["charges"] == 2
    assert found["epsilon"] == epsilon([study.terms.round] * 2, study.terms.delta)
