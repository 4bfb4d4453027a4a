"""No study passes that the site has not approved as it stands."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from client.approvals import approve, revoke
from client.gate import admit
from shared.errors import Refused
from shared.messages import CODES
from shared.site import Site
from shared.study import Study


def run_config(study: Study, /, **changes: object) -> dict[str, object]:
    text = base64.b64encode(study.canonical().encode()).decode()
    return {"study": text, "digest": study.digest} | changes


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def refusal(config: dict[str, object], digest: str, site: Site, match: str) -> str:
    with pytest.raises(Refused, match=match) as caught:
        admit(config, digest, site)
    assert caught.value.code in CODES
    return caught.value.code


def test_an_approved_study_passes(site: Site, study: Study) -> None:
    approve(site, study, person="p")
    assert admit(run_config(study), study.digest, site) == study


def test_the_name_is_no_part_of_what_was_approved(site: Site, study: Study) -> None:
    approve(site, study, person="p")
    renamed = study.model_copy(update={"name": "other-name"})
    assert admit(run_config(renamed), study.digest, site).name == "other-name"


def test_an_unapproved_study_is_refused(site: Site, study: Study, another: Study) -> None:
    approve(site, another, person="p")
    assert refusal(run_config(study), study.digest, site, "expected an approval of study 'small'") == "NOT_APPROVED"


def test_a_revoked_study_is_refused(site: Site, study: Study) -> None:
    approve(site, study, person="p")
    revoke(site, study.digest)
    assert refusal(run_config(study), study.digest, site, "got none that stands") == "NOT_APPROVED"


def test_a_study_under_an_approved_digest_is_refused(site: Site, study: Study, another: Study) -> None:
    approve(site, study, person="p")
    config = run_config(another, digest=study.digest)
    assert refusal(config, study.digest, site, "expected the run to carry the digest") == "DIGEST_MISMATCH"


def test_a_message_with_another_digest_is_refused(site: Site, study: Study, another: Study) -> None:
    approve(site, study, person="p")
    config = run_config(study)
    assert refusal(config, another.digest, site, "expected the message to carry the digest") == "DIGEST_MISMATCH"


@pytest.mark.parametrize("text", ["", "***", encoded([1]), encoded({"schema": 1}), encoded({"schema": 2})])
def test_what_is_no_study_is_refused(site: Site, study: Study, text: str) -> None:
    approve(site, study, person="p")
    config = run_config(study, study=text)
    assert refusal(config, study.digest, site, "expected the canonical JSON of a study") == "STUDY_INVALID"


def test_a_run_without_a_study_is_refused(site: Site, study: Study) -> None:
    assert refusal({}, study.digest, site, "expected the canonical JSON of a study") == "STUDY_INVALID"


def test_a_cap_that_the_site_wrote_refuses_unbounded_training(make_site: Callable[[str], Site], study: Study) -> None:
    site = make_site("[privacy]\nepsilon_cap = 8.0\n")
    approve(site, study, person="p")
    assert refusal(run_config(study), study.digest, site, r"epsilon_cap of 8.0, got privacy.mode 'off'") == (
        "TERMS_EXCEED_SITE"
    )
