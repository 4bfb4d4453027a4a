"""The file of approvals: what stands, what was revoked, what happens when it is damaged."""

import json
from pathlib import Path

import pytest

from client import approvals
from client.approvals import approve, approved, approved_studies, list_approvals, revoke
from shared.errors import BadInput
from shared.site import Site
from shared.study import Study


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
    content = json.loads((site.state / "approvals.json").read_text())
    assert content["schema"] == 1
    assert content["approvals"][0]["digest"] == study.digest


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected the JSON that `approve` writes"),
        ("[]", "expected a JSON object, got list"),
        ('{"schema": 2}', "schema: expected 1, got 2"),
        ('{"schema": 1, "approvals": [{"digest": "x"}]}', "approvals.0.person: expected a value, got nothing"),
    ],
)
def test_a_damaged_file_approves_nothing(site: Site, study: Study, text: str, message: str) -> None:
    site.state.mkdir(parents=True)
    (site.state / "approvals.json").write_text(text)
    with pytest.raises(BadInput, match=message):
        approved(site, study.digest)


def test_a_write_that_fails_leaves_the_old_file(
    site: Site, study: Study, another: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve(site, study, person="p")

    def full(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(approvals.os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        approve(site, another, person="p")
    assert approved(site, study.digest)
    assert not approved(site, another.digest)


def test_the_file_is_readable_by_a_person(site: Site, study: Study, tmp_path: Path) -> None:
    approve(site, study, person="Dr. Müller")
    assert "Dr. Müller" in (site.state / "approvals.json").read_text(encoding="utf-8")
