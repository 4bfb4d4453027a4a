"""Block G: nothing that was sent goes unmentioned, and nothing is said to be counted that was not."""

from typing import Any

import pytest

from client.disclosed import EVALUATION, PLAIN_UPDATES, SIZES
from shared.privacy.budget import Budget
from shared.privacy.report import Report, site_report
from shared.privacy.report.uncovered import KINDS
from shared.site import Site
from tests.shared.privacy.report import ledgers


def statuses(report: Report) -> dict[str, str]:
    return {row.what: row.status for row in report.not_covered.releases}


def told(budget: Budget, site: Site) -> Report:
    return site_report(budget.ledger, site)


def test_a_private_round_alone_sends_nothing_else(budget: Budget, site: Site) -> None:
    ledgers.approve(budget)
    ledgers.train(budget, 1)
    assert set(statuses(told(budget, site)).values()) == {"none sent"}


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (SIZES, {"Number of patients", "Modality availability"}),
        (EVALUATION, {"Test statistics of the closing evaluation"}),
        (
            PLAIN_UPDATES,
            {
                "Model updates without noise",
                "Test statistics of the closing evaluation",
                "Metrics of single rounds",
                "Loss curves",
                "Number of patients",
                "Modality availability",
            },
        ),
    ],
)
def test_what_the_client_records_is_recognised(budget: Budget, site: Site, what: str, expected: set[str]) -> None:
    ledgers.approve(budget)
    ledgers.sent(budget, what)
    report = told(budget, site)
    assert {what for what, status in statuses(report).items() if status == "UNACCOUNTED"} == expected
    assert {row.approver for row in report.not_covered.releases} <= {"", "J. Ortega"}


def test_a_charged_release_is_not_called_unaccounted(budget: Budget, site: Site) -> None:
    ledgers.approve(budget)
    ledgers.sent(budget, "gene sums", unaccounted=False, mechanism="gaussian")
    assert statuses(told(budget, site))["Normalisation means of genes"] == "charged"


def test_a_release_of_no_known_kind_has_a_row_of_its_own(budget: Budget, site: Site) -> None:
    ledgers.approve(budget)
    ledgers.sent(budget, "histogram of ages", approver="")
    (row,) = [row for row in told(budget, site).not_covered.releases if row.what == "histogram of ages"]
    assert (row.status, row.approver) == ("UNACCOUNTED", "J. Ortega")  # who approved the study


def test_a_release_that_nobody_approved_says_so(budget: Budget, site: Site) -> None:
    ledgers.sent(budget, "histogram of ages", approver="")
    assert told(budget, site).not_covered.releases[-1].approver == "nobody"


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ({"genes": "panel", "normalise": "federated"}, "Normalisation means of genes"),
        ({"genes": "cohort", "normalise": "rank"}, "Gene selection"),
    ],
)
def test_what_a_study_computes_from_patients_is_told_though_no_entry_does(
    budget: Budget, site: Site, expression: dict[str, Any], what: str
) -> None:
    study = {**ledgers.STUDY, "modalities": {"expression": expression}}
    ledgers.approve(budget, ledgers.PLAIN, private=False, study=study)
    assert statuses(told(budget, site))[what] == "none sent"  # it did not run yet
    ledgers.sent(budget, PLAIN_UPDATES, ledgers.PLAIN)
    assert statuses(told(budget, site))[what] == "UNACCOUNTED"


def test_further_runs_are_a_search_that_was_charged(budget: Budget, site: Site) -> None:
    ledgers.approve(budget)
    ledgers.train(budget, 1, run="1")
    ledgers.train(budget, 1, run="2")
    (row,) = [row for row in told(budget, site).not_covered.releases if row.what == "Hyper-parameter search"]
    assert (row.status, row.note) == ("charged", "2 runs, each charged in full")


def test_every_kind_of_the_specification_is_listed(report: Report) -> None:
    assert [row.what for row in report.not_covered.releases] == [kind.what for kind in KINDS]
    assert len(report.not_covered.facts) == 8
