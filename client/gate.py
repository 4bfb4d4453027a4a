"""The second half of the gate: no study is run, and no data opened, that this site has not approved.

The first half, which keeps foreign code out, is shared/bundle.py.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from functools import lru_cache

from client.approvals import refuse_unless_approved
from client.site_ledger import open_ledger
from shared.errors import Refused, StudyError
from shared.privacy.ledger import Ledger
from shared.site import Site
from shared.study import Study, parse_study

__all__ = ["admit", "excesses"]


def admit(
    run_config: Mapping[str, object],
    digest_in_message: str,
    site: Site,
    ledger: Ledger | None = None,
    *,
    simulated: bool = False,
) -> Study:
    """The study of this run, if this site has approved it. The first line of every message handler.

    Parameters
    ----------
    run_config
        `study` is the study's canonical JSON in base64, `digest` the digest that the coordinator gives it.
    digest_in_message
        The digest that came with the message.
    site
        This hospital; its approvals and its caps decide.
    ledger
        The site's own, unless a simulation keeps another.
    simulated
        No person's cap stands over a simulation, where nobody's data are at stake.

    Raises
    ------
    Refused
        STUDY_INVALID, DIGEST_MISMATCH, NOT_APPROVED or TERMS_EXCEED_SITE, checked in this order.
    """
    study = _decode(str(run_config.get("study", "")))
    claimed = {"the run": run_config.get("digest", ""), "the message": digest_in_message}
    for where, digest in claimed.items():
        if digest != study.digest:
            raise Refused(
                "DIGEST_MISMATCH",
                f"expected {where} to carry the digest of its study, {study.digest}, got {digest!r}; "
                "the coordinator must submit the study again",
            )
    refuse_unless_approved(site, study, ledger or open_ledger(site))
    faults = [] if simulated else excesses(study, site)
    if faults:
        raise Refused("TERMS_EXCEED_SITE", "; ".join(faults))
    return study


def excesses(study: Study, site: Site) -> list[str]:
    """Every term of `study` that goes beyond the site file; empty when the site can take part.

    A cap that the hospital wrote down binds: training without differential privacy has no epsilon, so it is beyond
    any cap. A site file that says nothing about epsilon leaves the decision to the person who approves.
    """
    faults, own, asked = [], site.privacy, study.terms
    if asked is None and "epsilon_cap" in own.model_fields_set:
        faults.append(
            f"expected a study within this site's privacy.epsilon_cap of {own.epsilon_cap}, got privacy.mode "
            "'off', which has no bound; remove the cap from the site file to allow it, or ask for a private study"
        )
    if asked is not None and asked.epsilon > own.epsilon_cap:
        faults.append(
            f"expected an epsilon of at most this site's privacy.epsilon_cap, {own.epsilon_cap:g}, got "
            f"{asked.epsilon:g}; ask for a study that spends less"
        )
    if asked is not None and asked.delta > own.delta:
        faults.append(
            f"expected a delta of at most this site's privacy.delta, {own.delta:g}, got {asked.delta:g}; "
            "ask for a study with a smaller one"
        )
    return faults


@lru_cache(maxsize=4)
def _decode(text: str) -> Study:
    """The study, one for all sites of a simulation."""
    try:
        content = json.loads(base64.b64decode(text, validate=True))
        if not isinstance(content, dict):
            raise ValueError(f"a JSON {type(content).__name__}")
        return parse_study(content, source="the coordinator's study")
    except (binascii.Error, ValueError, StudyError) as exc:
        raise Refused(
            "STUDY_INVALID",
            f"expected the canonical JSON of a study in base64, got something else: {exc}; "
            "the coordinator must submit with `mmfed-server submit` of the same version",
        ) from exc
