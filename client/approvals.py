"""The studies a hospital has approved: entries of its ledger, signed, none of them ever changed or deleted.

A study runs at a site only while the newest approval of its digest stands: not revoked, and given for the columns and
values that the site file maps today, since the person who approved has read those.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from client.site_ledger import has_ledger, open_budget, open_ledger
from shared.errors import BadInput, Refused
from shared.privacy.accounting import epsilon
from shared.privacy.budget import Budget
from shared.privacy.ledger import Entry, Ledger
from shared.site import Site
from shared.study import DetectionTask, Study, parse_study

__all__ = [
    "Approval",
    "approve",
    "approved",
    "approved_studies",
    "list_approvals",
    "mappings",
    "refuse_unless_approved",
    "revoke",
    "standing",
    "standing_today",
]


@dataclass(frozen=True)
class Approval:
    """One person's decision about one study. Times are UTC, ISO 8601; `revoked` is empty while it stands."""

    seq: int  # of the ledger entry
    digest: str
    name: str
    person: str
    approved: str
    revoked: str
    mappings: dict[str, Any]  # what the site's columns and values were called when it was given
    study: dict[str, Any]

    @property
    def stands(self) -> bool:
        """Whether the approval has not been revoked."""
        return not self.revoked


def list_approvals(site: Site, ledger: Ledger | None = None) -> tuple[Approval, ...]:
    """Every decision, oldest first; empty when the site has approved nothing yet.

    Raises
    ------
    Refused
        The ledger is broken or cannot be read. Nothing counts as approved then.
    """
    if ledger is None and not has_ledger(site):
        return ()
    return _approvals((ledger or open_ledger(site)).entries("approval", "revoked"))


def standing(site: Site, digest: str, ledger: Ledger | None = None) -> Approval | None:
    """The newest approval of `digest` if it was not revoked."""
    return _newest(list_approvals(site, ledger), digest)


def approved(site: Site, digest: str, ledger: Ledger | None = None) -> bool:
    """Whether the newest approval of `digest` stands."""
    return standing(site, digest, ledger) is not None


def standing_today(site: Site) -> tuple[tuple[Approval, bool], ...]:
    """The approvals that stand, oldest first, and whether the site file still maps what the person has read."""
    return tuple((entry, entry.mappings == mappings(site, _study_of(entry))) for entry in _all_standing(site))


def approved_studies(site: Site) -> tuple[Study, ...]:
    """The studies whose approval stands, oldest first."""
    return tuple(_study_of(entry) for entry in _all_standing(site))


def approve(site: Site, study: Study, person: str, budget: Budget | None = None) -> Approval:
    """Record that `person` allows the resolved `study`; an approval that stands for the same mappings is kept.

    Parameters
    ----------
    budget
        The site's own, unless a simulation keeps another.
    """
    budget = budget or open_budget(site)
    kept = standing(site, study.digest, budget.ledger)
    if kept is not None and kept.mappings == mappings(site, study):
        return kept
    terms, alone, after = study.terms, None, None
    if terms is not None:
        alone, after = epsilon([terms.study], budget.policy.delta), budget.projected(terms.study).epsilon
    entry = budget.ledger.append(
        "approval",
        digest=study.digest,
        name=study.name,
        mode=study.privacy.mode,
        terms=None if terms is None else study.privacy.model_dump(mode="json"),
        epsilon_alone=alone,
        epsilon_after=after,
        person=person,
        mappings=mappings(site, study),
        governance=None if study.governance is None else study.governance.model_dump(mode="json"),
        study=study.content(),
    )
    return _approvals([entry])[0]


def revoke(site: Site, digest: str, person: str = "", reason: str = "") -> Approval:
    """Withdraw the approval of the study whose digest starts with `digest`; it binds from the next message on.

    Raises
    ------
    BadInput
        No standing approval starts with `digest`, or more than one study's does.
    """
    ledger = open_ledger(site)
    entries = list_approvals(site, ledger)
    found = {e.digest for e in entries if _newest(entries, e.digest) is not None and e.digest.startswith(digest)}
    if not digest or len(found) != 1:
        raise BadInput(
            f"expected the digest of one approved study, got {digest!r}, which fits {len(found)}; "
            "see `approve --list` and give more of it"
        )
    old = _newest(entries, found.pop())
    assert old is not None
    ledger.append("revoked", approval=old.seq, digest=old.digest, person=person, reason=reason)
    withdrawn = next(entry for entry in list_approvals(site, ledger) if entry.seq == old.seq)
    return withdrawn


def refuse_unless_approved(site: Site, study: Study, ledger: Ledger) -> None:
    """Refused, NOT_APPROVED, unless an approval of the study stands for the site file as it is."""
    found = standing(site, study.digest, ledger)
    advice = f"read it and run `mmfed-client --site {site.id} approve STUDY`"
    if found is None:
        raise Refused(
            "NOT_APPROVED",
            f"expected an approval of study {study.name!r} ({study.digest}) at site {site.id}, got none that stands; "
            f"{advice}",
        )
    if found.mappings != mappings(site, study):
        raise Refused(
            "NOT_APPROVED",
            f"expected the columns and values that {found.person} approved for study {study.name!r}, got others: "
            f"[columns] or [values] of the site file have changed since {found.approved}; {advice} again",
        )


def mappings(site: Site, study: Study) -> dict[str, Any]:
    """What of the site file decides which of its columns and values the study's tasks read."""
    if isinstance(study.task, DetectionTask):
        return {"columns": {}, "values": {}}
    names = {name for task in (study.task, *(head.task for head in study.heads)) for name in task.columns}
    names |= set(study.modalities.clinical.columns) if study.modalities.clinical else set()
    return {
        "columns": {name: site.columns[name] for name in sorted(names) if name in site.columns},
        "values": {name: site.values[name] for name in sorted(names) if name in site.values},
    }


def _all_standing(site: Site) -> tuple[Approval, ...]:
    """The newest approval of every digest whose approval stands, in the order in which digests were first approved."""
    entries = list_approvals(site)
    found = {entry.digest: entry for entry in entries if _newest(entries, entry.digest) is not None}
    return tuple(found.values())


def _study_of(entry: Approval) -> Study:
    return parse_study(entry.study, f"the approval of {entry.name}")


def _newest(entries: Sequence[Approval], digest: str) -> Approval | None:
    """The newest entry of `digest` if it stands."""
    found = [entry for entry in entries if entry.digest == digest]
    return found[-1] if found and found[-1].stands else None


def _approvals(entries: Sequence[Entry]) -> tuple[Approval, ...]:
    revoked = {entry.body["approval"]: str(entry.body["ts"]) for entry in entries if entry.kind == "revoked"}
    return tuple(
        Approval(
            seq=entry.seq,
            digest=str(entry.body["digest"]),
            name=str(entry.body["name"]),
            person=str(entry.body["person"]),
            approved=str(entry.body["ts"]),
            revoked=revoked.get(entry.seq, ""),
            mappings=dict(entry.body["mappings"]),
            study=dict(entry.body["study"]),
        )
        for entry in entries
        if entry.kind == "approval"
    )
