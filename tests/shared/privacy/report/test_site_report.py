"""The figures of a report are those of its ledger, worked out another way."""

from pathlib import Path

import pytest

from shared.privacy.budget import Budget
from shared.privacy.report import Report, site_report
from shared.site import Site
from tests.shared.privacy.report import ledgers
from tests.shared.privacy.report.ledgers import gaussian_epsilon

CLOSE = 0.002  # two grid steps of the accountant


def test_four_charges_cost_what_one_release_with_half_the_noise_does(report: Report) -> None:
    spent = gaussian_epsilon(10 / 2)  # 4 charges
    assert report.verdict.spent == pytest.approx(spent, abs=CLOSE)
    assert report.verdict.left == pytest.approx(8 - spent, abs=CLOSE)
    assert report.numbers.pld == report.verdict.spent == report.promise.epsilon


def test_an_exchanged_patient_costs_as_if_each_moved_a_step_by_twice_as_much(report: Report) -> None:
    assert report.promise.epsilon_replace_one == pytest.approx(gaussian_epsilon(10 / 4), abs=CLOSE)


def test_a_person_at_two_hospitals_spends_twice_the_events(report: Report) -> None:
    assert report.promise.epsilon_two_hospitals == pytest.approx(gaussian_epsilon(10 / 8**0.5), abs=CLOSE)


def test_the_next_round_is_projected(report: Report) -> None:
    assert report.numbers.projected == pytest.approx(gaussian_epsilon(10 / 5**0.5), abs=CLOSE)


def test_three_accountants_stand_side_by_side(report: Report) -> None:
    found = report.numbers
    assert found.pld is not None
    assert found.prv == pytest.approx(found.pld, abs=0.02)
    assert found.rdp is not None
    assert found.rdp > found.pld
    assert [(e.sample_rate, e.sigma, e.steps) for e in found.events] == [(1.0, 10.0, 4)]


def test_rounds_left_are_those_that_fit_below_the_cap(site: Site) -> None:
    budget = ledgers.budget_of(site, cap=gaussian_epsilon(10 / 6**0.5) + 2 * CLOSE)  # six rounds fit, seven do not
    ledgers.approve(budget)
    ledgers.train(budget, 1)
    ledgers.train(budget, 2)
    verdict = site_report(budget.ledger, site).verdict
    assert (verdict.word, verdict.rounds_left, verdict.rounds_to_run) == ("WITHIN CAP", 4, 2)
    assert verdict.study == "glioma-grade"


def test_every_charge_is_listed_with_what_became_of_it(report: Report) -> None:
    rows = [(row.round, row.attempt, row.outcome) for row in report.events]
    assert rows == [
        (1, 1, "acknowledged"),
        (2, 1, "acknowledged"),
        (3, 1, "acknowledged"),
        (3, 2, "charged, nothing sent"),
        (101, None, "refused: ROUND_INVALID"),
    ]
    assert report.events[0].epsilon_after == pytest.approx(gaussian_epsilon(10), abs=CLOSE)
    assert (report.integrity.unfinished, report.integrity.refused) == (1, {"ROUND_INVALID": 1})


def test_a_head_that_is_not_echoed_leaves_a_round_released_only(budget: Budget, site: Site) -> None:
    ledgers.approve(budget)
    charge = budget.charge(ledgers.TERMS, digest=ledgers.PRIVATE, run="1", round_=1, task="t", fold="0.0", cohort=0)
    budget.release(charge.seq, "e" * 64, 10, ledgers.TENSORS)
    aborted = budget.charge(ledgers.TERMS, digest=ledgers.PRIVATE, run="1", round_=2, task="t", fold="0.0", cohort=0)
    budget.abort(aborted.seq, "CLIENT_FAILED")
    report = site_report(budget.ledger, site)
    assert [row.outcome for row in report.events] == ["released", "aborted: CLIENT_FAILED"]
    assert "not sent a head back" in report.integrity.countersigned


def test_the_mechanism_is_told_in_full(report: Report) -> None:
    (used,) = report.mechanisms
    assert (used.clip, used.sigma, used.sample_rate, used.steps_per_round, used.rounds) == (0.5, 10.0, 1.0, 1, 4)
    assert (used.denominator, used.backend, used.epsilon) == (16.0, "loop", 4.0)
    assert used.tensors == {"branches.slides.token.weight": (8, 1280), "fusion.head.weight": (3, 8)}
    assert [(e.modality, e.name, e.sha256) for e in used.extractors] == [("slides", "mobilenet_v2", "ab" * 32)]


def test_delta_is_held_against_the_largest_size_bucket(report: Report) -> None:
    assert "100-199 patients it must be at most 1 in 1,990, as it is" in report.promise.delta_reason


def test_delta_that_is_too_large_is_said_to_be(site: Site) -> None:
    budget = ledgers.budget_of(site)
    ledgers.cohort(budget, "20-49")
    ledgers.cohort(budget, "5000+")
    assert "must be" not in site_report(budget.ledger, site).promise.delta_reason  # it has no upper edge
    from shared.privacy.report.promise import promise

    assert "which it is NOT" in promise((), 1e-3, mode="local", bounded=True, bucket="500-999").delta_reason


def test_a_report_writes_nothing_into_the_ledger(used: tuple[Site, Budget]) -> None:
    site, budget = used
    before = len(budget.ledger.entries())
    site_report(budget.ledger, site)
    assert len(budget.ledger.entries()) == before


def test_the_key_of_the_ledger_and_its_last_head_are_told(report: Report, used: tuple[Site, Budget]) -> None:
    head = used[1].ledger.head()
    assert head is not None
    assert (report.integrity.head_seq, report.integrity.head_hash) == (head.seq, head.hash)
    assert report.integrity.key == used[1].ledger.public_key.hex()
    assert report.integrity.key_layout.startswith("single user")
    assert f"head of entry {head.seq}" in report.integrity.countersigned


def test_the_record_of_processing_carries_the_governance_lines(report: Report) -> None:
    (study,) = report.provenance.studies
    assert {key: getattr(study, key) for key in ledgers.GOVERNANCE} == ledgers.GOVERNANCE
    assert study.approver == "J. Ortega"
    assert study.columns == {"grade": "who_grade"}
    assert "genetic data: gene expression, mutations" in study.data
    (cohort,) = report.provenance.cohorts
    assert (cohort.bucket, cohort.excluded) == ("100-199", "<10")
    assert report.provenance.policy_approver == "M. Keller"


def test_governance_that_is_not_stated_is_said_to_be_missing(budget: Budget, site: Site) -> None:
    ledgers.approve(budget, governance=None)
    (study,) = site_report(budget.ledger, site).provenance.studies
    assert study.purpose == study.controller == "not stated"


def test_a_withdrawn_approval_is_told_with_its_time(budget: Budget, site: Site) -> None:
    ledgers.approve(budget)
    seq = budget.ledger.last("approval").seq  # type: ignore[union-attr]
    budget.ledger.append("revoked", approval=seq, digest=ledgers.PRIVATE, person="J. Ortega", reason="")
    report = site_report(budget.ledger, site)
    assert report.provenance.studies[0].revoked
    assert report.verdict.study == ""


def test_only_the_newest_events_are_listed_and_the_rest_are_counted(
    budget: Budget, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.privacy.report.event_rows.MOST_ROWS", 2)
    for round_ in (1, 2, 3):
        budget.refuse("ROUND_INVALID", digest=ledgers.PRIVATE, run="1", round=round_)
    report = site_report(budget.ledger, site)
    assert ([row.round for row in report.events], report.events_before) == ([2, 3], 1)


def test_two_studies_of_one_name_are_told_apart(budget: Budget, site: Site) -> None:
    ledgers.approve(budget)
    ledgers.approve(budget, "3" * 64)
    names = [study.study for study in site_report(budget.ledger, site).provenance.studies]
    assert names == ["glioma-grade (111111111111)", "glioma-grade (333333333333)"]


def test_a_new_ledger_has_a_report(site: Site) -> None:
    from shared.privacy.ledger import Ledger

    report = site_report(Ledger.open(site.state / "privacy", site.id), site)
    assert (report.verdict.word, report.verdict.spent, report.verdict.cap) == ("WITHIN CAP", 0.0, 8.0)
    assert report.verdict.privacy == "none"


def test_a_simulation_says_that_it_is_one(tmp_path: Path) -> None:
    from shared.privacy.budget import Policy
    from shared.privacy.ledger import Ledger

    site = ledgers.site_of(tmp_path)
    ledger = Ledger.open(tmp_path / "own", site.id)
    Budget(ledger, Policy(20.0, 1e-5, "simulation"))
    assert site_report(ledger, site).provenance.processing.security[0].startswith("This was a simulation")
