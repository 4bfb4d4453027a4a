"""One word for the whole: never better than what left."""

import sqlite3
from dataclasses import replace

import pytest

from shared.errors import Refused
from shared.privacy.budget import Budget
from shared.privacy.ledger import Ledger
from shared.privacy.report import broken_report, site_report
from shared.site import Site
from tests.shared.privacy.report import ledgers

PLAIN_UPDATES = "plain model updates, patient counts, losses and test statistics of every round"


def test_spending_below_the_cap_is_within_it(budget: Budget, site: Site) -> None:
    ledgers.approve(budget)
    ledgers.train(budget, 1)
    report = site_report(budget.ledger, site)
    assert (report.verdict.word, report.verdict.privacy) == ("WITHIN CAP", "on")


def test_the_cap_is_reached_when_no_further_round_fits(site: Site) -> None:
    budget = ledgers.budget_of(site, cap=0.6)
    ledgers.approve(budget)
    ledgers.train(budget, 1)
    ledgers.train(budget, 2)
    with pytest.raises(Refused, match="epsilon 0.6"):
        ledgers.train(budget, 3)
    report = site_report(budget.ledger, site)
    assert (report.verdict.word, report.verdict.rounds_left) == ("CAP REACHED", 0)
    assert report.verdict.spent is not None
    assert report.verdict.spent < 0.6
    assert report.events[-1].outcome == "refused: BUDGET_EXCEEDED"


def test_a_study_without_noise_is_not_private_and_tells_what_left(budget: Budget, site: Site) -> None:
    ledgers.approve(budget, ledgers.PLAIN, private=False)
    ledgers.sent(budget, PLAIN_UPDATES, ledgers.PLAIN)
    report = site_report(budget.ledger, site)
    assert (report.verdict.word, report.verdict.privacy, report.verdict.spent) == ("NOT PRIVATE", "off", None)
    assert [sent.what for sent in report.released] == [PLAIN_UPDATES]
    assert all(who.epsilon is None for who in report.promise.adversaries)
    assert "glioma-plain" in report.verdict.sentences[0]


def test_noise_in_one_study_does_not_make_another_private(budget: Budget, site: Site) -> None:
    ledgers.approve(budget)
    ledgers.train(budget, 1)
    ledgers.approve(budget, ledgers.PLAIN, private=False)
    ledgers.sent(budget, PLAIN_UPDATES, ledgers.PLAIN)
    report = site_report(budget.ledger, site)
    assert (report.verdict.word, report.verdict.privacy, report.verdict.spent) == ("NOT PRIVATE", "partly", None)
    assert report.numbers.pld is not None
    assert report.promise.epsilon is None


def test_an_update_of_an_unknown_study_is_not_private(budget: Budget, site: Site) -> None:
    ledgers.sent(budget, "something", "9" * 64)
    assert site_report(budget.ledger, site).verdict.word == "NOT PRIVATE"


def test_an_approved_study_without_noise_is_told_of_before_it_runs(budget: Budget, site: Site) -> None:
    ledgers.approve(budget)
    ledgers.train(budget, 1)
    ledgers.approve(budget, ledgers.PLAIN, private=False)
    verdict = site_report(budget.ledger, site).verdict
    assert verdict.word == "WITHIN CAP"
    assert "has sent nothing yet: glioma-plain" in verdict.sentences[-1]


def test_a_site_that_approved_nothing_but_a_study_without_noise_is_not_private(budget: Budget, site: Site) -> None:
    ledgers.approve(budget, ledgers.PLAIN, private=False)
    verdict = site_report(budget.ledger, site).verdict
    assert (verdict.word, verdict.privacy) == ("NOT PRIVATE", "off")


def test_noise_from_a_known_seed_is_not_private(budget: Budget, site: Site) -> None:
    ledgers.approve(budget)
    ledgers.train(budget, 1, terms=replace(ledgers.TERMS, noise_source="test-seeded"))
    report = site_report(budget.ledger, site)
    assert (report.verdict.word, report.verdict.privacy, report.verdict.spent) == ("NOT PRIVATE", "test", None)
    assert "NOT PRIVATE" in report.mechanisms[0].noise_source


def test_an_edited_ledger_is_reported_as_broken_without_a_path(budget: Budget, site: Site) -> None:
    ledgers.approve(budget)
    ledgers.train(budget, 1)
    seq = budget.ledger.last("charge").seq  # type: ignore[union-attr]
    with sqlite3.connect(budget.ledger.file) as connection:
        connection.execute("DROP TRIGGER entry_is_never_changed")
        connection.execute("UPDATE entry SET body = replace(body, '10.0', '99.0') WHERE seq = ?", (seq,))
    connection.close()
    with pytest.raises(Refused) as refused:
        Ledger.open(site.state / "privacy", site.id)
    report = broken_report(site, refused.value)
    assert (report.verdict.word, report.verdict.spent, report.signature) == ("LEDGER BROKEN", None, None)
    assert any(f"entry {seq}:" in fault for fault in report.integrity.faults)
    assert str(site.state) not in report.model_dump_json()


def test_a_ledger_that_cannot_be_opened_is_reported_as_broken(site: Site) -> None:
    report = broken_report(site, Refused("LEDGER_FAILED", f"expected to write {site.state}/x, got: disk full"))
    assert report.verdict.word == "LEDGER BROKEN"
    assert "could not be opened" in report.integrity.faults[0]
    assert str(site.state) not in report.model_dump_json()
