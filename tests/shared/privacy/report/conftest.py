"""One site with three rounds of a private study, reported on once."""

from pathlib import Path

import pytest

from shared.privacy.budget import Budget
from shared.privacy.report import Report, site_report
from shared.site import Site
from tests.shared.privacy.report import ledgers


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site without a ledger yet."""
    return ledgers.site_of(tmp_path)


@pytest.fixture
def budget(site: Site) -> Budget:
    """Its new ledger, under a cap of 8."""
    return ledgers.budget_of(site)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, Budget]:
    """Three of four rounds sent, one more that crashed, one refused, test statistics sent."""
    site = ledgers.site_of(tmp_path_factory.mktemp("used"))
    budget = ledgers.budget_of(site)
    ledgers.approve(budget)
    ledgers.cohort(budget)
    ledgers.sent(budget, "size buckets of the training patients of each modality")
    for round_ in (1, 2, 3):
        ledgers.train(budget, round_)
    budget.charge(ledgers.TERMS, digest=ledgers.PRIVATE, run="71", round_=3, task="t", fold="0.0", cohort=0)
    budget.refuse("ROUND_INVALID", digest=ledgers.PRIVATE, run="71", round=101)
    ledgers.sent(budget, "statistics of the final model on held-out test patients, who were never trained on")
    return site, budget


@pytest.fixture(scope="module")
def report(used: tuple[Site, Budget]) -> Report:
    """The report on it."""
    site, budget = used
    return site_report(budget.ledger, site)
