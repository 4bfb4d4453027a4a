"""The studies a hospital has approved: one plain file, `<state>/approvals.json`, that a person can read.

A study runs at a site only while the newest entry of its digest is approved and not revoked. Entries are never
deleted, so the file is also the record of who allowed what, and when.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from shared.documents import Document, parse
from shared.errors import BadInput
from shared.site import Site
from shared.study import Study, parse_study

__all__ = ["Approval", "approve", "approved", "approved_studies", "list_approvals", "revoke"]


class Approval(Document):
    """One person's decision about one study. Times are UTC, ISO 8601; `revoked` is empty while it stands."""

    digest: str
    name: str
    person: str
    approved: str
    revoked: str = ""
    study: dict[str, Any]

    @property
    def stands(self) -> bool:
        """Whether the approval has not been revoked."""
        return not self.revoked


class Approvals(Document):
    """The whole file."""

    schema_: Literal[1] = Field(alias="schema")
    approvals: tuple[Approval, ...] = ()


def list_approvals(site: Site) -> tuple[Approval, ...]:
    """Every entry, oldest first; empty when the site has approved nothing yet.

    Raises
    ------
    BadInput
        The file cannot be read, is not JSON, or has faults. Nothing counts as approved then.
    """
    path = approvals_file(site)
    if not path.exists():
        return ()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise BadInput(
            f"{path}: expected the JSON that `approve` writes, got {exc}; restore it or approve again"
        ) from exc
    if not isinstance(content, dict):
        raise BadInput(f"{path}: expected a JSON object, got {type(content).__name__}; restore it or approve again")
    return parse(content, Approvals, BadInput, str(path)).approvals


def approved(site: Site, digest: str) -> bool:
    """Whether the newest entry of `digest` stands."""
    return _newest(list_approvals(site), digest) is not None


def approved_studies(site: Site) -> tuple[Study, ...]:
    """The studies whose approval stands, oldest first."""
    entries = list_approvals(site)
    standing = {entry.digest: entry for entry in entries if _newest(entries, entry.digest) is not None}
    return tuple(parse_study(entry.study, f"{approvals_file(site)}: {entry.name}") for entry in standing.values())


def approve(site: Site, study: Study, person: str) -> Approval:
    """Record that `person` allows the resolved `study`; an approval that stands already is kept and returned."""
    entries = list_approvals(site)
    standing = _newest(entries, study.digest)
    if standing is not None:
        return standing
    entry = Approval(digest=study.digest, name=study.name, person=person, approved=_now(), study=study.content())
    _write(site, (*entries, entry))
    return entry


def revoke(site: Site, digest: str) -> Approval:
    """Withdraw the approval of the study whose digest starts with `digest`; it binds from the next message on.

    Raises
    ------
    BadInput
        No standing approval starts with `digest`, or more than one study's does.
    """
    entries = list_approvals(site)
    standing = {e.digest for e in entries if _newest(entries, e.digest) is not None and e.digest.startswith(digest)}
    if not digest or len(standing) != 1:
        raise BadInput(
            f"expected the digest of one approved study, got {digest!r}, which fits {len(standing)}; "
            "see `approve --list` and give more of it"
        )
    old = _newest(entries, standing.pop())
    assert old is not None
    new = old.model_copy(update={"revoked": _now()})
    _write(site, tuple(new if entry is old else entry for entry in entries))
    return new


def _newest(entries: tuple[Approval, ...], digest: str) -> Approval | None:
    """The newest entry of `digest` if it stands."""
    found = [entry for entry in entries if entry.digest == digest]
    return found[-1] if found and found[-1].stands else None


def approvals_file(site: Site) -> Path:
    return site.state / "approvals.json"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write(site: Site, entries: tuple[Approval, ...]) -> None:
    """Write a new file, sync it, put it in the place of the old one."""
    path = approvals_file(site)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = Approvals(schema=1, approvals=entries).model_dump(mode="json", by_alias=True)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, ensure_ascii=False, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
