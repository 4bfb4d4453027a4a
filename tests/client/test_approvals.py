"""Approvals in the site's ledger: what stands, what was revoked, what changed since."""

import sqlite3
from collections.abc import Callable

import pytest

from client.approvals import approve, approved, approved_studies, list_approvals, mappings, revoke
from client.gate import admit
from client.site_ledger import ledger_folder, open_budget, open_ledger
from shared.errors import BadInput, Refused
from shared.privacy.ledger import Entry
from shared.site import Site, read_site
from shared.study import Study
from tests.client.test_gate import run_config


def test_nothing_is_approved_at_first(site: Site, study: Study) -> None:
    assert not approved(site, study.digest)
    assert list_approvals(site) == ()
    assert not site.state.exists()


def test_an_approval_names_study_person_and_time(site: Site, study: Study, another: Study) -> None:
    entry = approve(site, study, person="Dr. Ada Example")

    assert approved(site, study.digest)
    assert not approved(site, another.digest)
    assert (entry.name, entry.person, entry.revoked) == ("small", "Dr. Ada Example", "")
    assert entry.approved.endswith("+00:00")


def test_a_standing_approval_is_not_written_twice(site: Site, study: Study) -> None:
    assert approve(site, study, person="first") == approve(site, study, person="second")
    assert len(list_approvals(site)) == 1


def test_revoking_keeps_the_record_and_a_new_approval_stands_again(site: Site, study: Study) -> None:
    approve(site, study, person="first")
    entry = revoke(site, study.digest[:8])

    assert entry.revoked.endswith("+00:00")
    assert not approved(site, study.digest)
    approve(site, study, person="second")
    assert approved(site, study.digest)
    assert [(e.person, e.stands) for e in list_approvals(site)] == [("first", False), ("second", True)]


def test_revoking_again_revokes_only_the_newest(site: Site, study: Study) -> None:
    approve(site, study, person="first")
    first = revoke(site, study.digest)
    approve(site, study, person="second")
    revoke(site, study.digest)

    assert not approved(site, study.digest)
    assert list_approvals(site)[0] == first


def test_approved_studies_come_back_whole(site: Site, study: Study, another: Study) -> None:
    approve(site, study, person="p")
    approve(site, another, person="p")
    revoke(site, study.digest)

    assert approved_studies(site) == (another,)
    assert approved_studies(site)[0].digest == another.digest


@pytest.mark.parametrize("digest", ["", "ffff"])
def test_revoking_what_is_not_approved_is_refused(site: Site, study: Study, digest: str) -> None:
    approve(site, study, person="p")
    with pytest.raises(BadInput, match=r"expected the digest of one approved study, got .* see `approve --list`"):
        revoke(site, digest)
    assert approved(site, study.digest)


def _approval(site: Site, study: Study) -> Entry:
    seq = approve(site, study, person="Dr. Müller").seq
    return next(entry for entry in open_ledger(site).entries("approval") if entry.seq == seq)


def test_an_approval_is_a_signed_entry_with_what_the_person_saw(make_site: Callable[[str], Site], study: Study) -> None:
    site = make_site('[columns]\ngrade = "who_grade"\n[values.grade]\n"II" = "G2"\n[values.other]\n"x" = "y"\n')
    entry = _approval(site, study)
    assert entry.sig is not None
    assert entry.body["person"] == "Dr. Müller"
    assert entry.body["mode"] == "off"
    assert entry.body["terms"] is None
    assert entry.body["governance"]["ethics_reference"] == "EK 1/26"
    assert entry.body["mappings"] == {"columns": {"grade": "who_grade"}, "values": {"grade": {"II": "G2"}}}
    assert entry.body["study"] == study.content()


def test_other_columns_than_those_approved_are_refused(make_site: Callable[[str], Site], study: Study) -> None:
    site = make_site('[columns]\ngrade = "who_grade"\n')
    approve(site, study, person="Dr. Ada Example")
    assert admit(run_config(study), study.digest, site) == study
    other = make_site('[columns]\ngrade = "other_grade"\n')
    with pytest.raises(Refused, match="columns and values that Dr. Ada Example approved") as caught:
        admit(run_config(study), study.digest, other)
    assert caught.value.code == "NOT_APPROVED"
    approve(other, study, person="Dr. Ada Example")
    assert admit(run_config(study), study.digest, other) == study
    assert mappings(other, study)["columns"] == {"grade": "other_grade"}


def test_who_revoked_and_why_stays_in_the_ledger(site: Site, study: Study) -> None:
    approve(site, study, person="first")
    revoke(site, study.digest, person="second", reason="ethics approval has ended")
    body = open_ledger(site).entries("revoked")[0].body
    assert (body["person"], body["reason"], body["digest"]) == ("second", "ethics approval has ended", study.digest)


def test_a_changed_ledger_approves_nothing(site: Site, study: Study) -> None:
    approve(site, study, person="p")
    file = ledger_folder(site) / "ledger.sqlite"
    with sqlite3.connect(file) as base:
        for (trigger,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            base.execute(f"DROP TRIGGER {trigger}")
        base.execute("UPDATE entry SET body = replace(body, '\"p\"', '\"q\"') WHERE body LIKE '%approval%'")
    base.close()
    with pytest.raises(Refused) as caught:
        approved(read_site(site.data.parent / "site.toml"), study.digest)
    assert caught.value.code == "LEDGER_BROKEN"


def test_a_cap_is_written_down_with_who_set_it(make_site: Callable[[str], Site]) -> None:
    open_budget(make_site(""))
    open_budget(make_site(""))
    open_budget(make_site("[privacy]\nepsilon_cap = 3.0\ndelta = 1e-6\n"))
    policies = [entry.body for entry in open_ledger(make_site("")).entries("policy")]
    assert [(body["epsilon_cap"], body["delta"]) for body in policies] == [(8.0, 1e-5), (3.0, 1e-6)]
