"""The privacy budget report of one hospital, from its ledger and its site file."""

from collections.abc import Sequence
from datetime import UTC, datetime

from shared.errors import Refused
from shared.privacy.accounting import epsilon
from shared.privacy.ledger import Ledger
from shared.privacy.report.document import NotCovered, Provenance, Report
from shared.privacy.report.event_rows import event_rows, releases
from shared.privacy.report.history import History
from shared.privacy.report.integrity import audit_of, broken_integrity, integrity_of
from shared.privacy.report.mechanism import mechanisms, numbers_of
from shared.privacy.report.promise import meaning, promise, upper_edge
from shared.privacy.report.provenance import HERE, code_sha256, processing, provenance_of, software
from shared.privacy.report.signature import signed, signer_of
from shared.privacy.report.uncovered import FACTS, not_covered
from shared.privacy.report.verdict import broken_verdict, site_verdict
from shared.privacy.spending import Policy, Spending
from shared.site import Site

__all__ = ["broken_report", "site_report"]


def site_report(ledger: Ledger, site: Site, *, now: datetime | None = None) -> Report:
    """The report over everything in the ledger, signed by its key.

    The cap and delta are those of the newest policy in the ledger, the site file's where there is none yet; nothing is
    written into the ledger. Takes about two seconds: the cross-check accountant is slow.

    Raises
    ------
    Refused
        LEDGER_BROKEN or LEDGER_FAILED, also where it cannot be signed; `broken_report` makes a report of the first.
    """
    history = History.of(ledger)
    policy = _policy(history, site)
    spent = _spending(history, policy)
    integrity = integrity_of(ledger, history)
    verdict = site_verdict(history, policy, spent) if integrity.holds else broken_verdict()
    mode = "local" if verdict.privacy == "on" else verdict.privacy
    sizes = [str(entry.body["bucket"]) for entry in history.all("cohort")]
    events, before = event_rows(history)
    report = Report(
        scope="site",
        title=f"Site {site.id}" + (f", {site.site.name}" if site.site.name else ""),
        created=_moment(now),
        verdict=verdict,
        meaning=meaning(verdict),
        promise=promise(
            history.events,
            policy.delta,
            mode=mode,
            bounded=verdict.word in ("WITHIN CAP", "CAP REACHED"),
            bucket=_largest(sizes),
        ),
        mechanisms=mechanisms(history),
        numbers=numbers_of(history.events, policy.delta, history.round_event),
        events=events,
        events_before=before,
        sites=(),
        released=releases(history),
        not_covered=not_covered(history),
        integrity=integrity,
        audit=audit_of(verdict.spent, policy.delta),
        provenance=provenance_of(history, site),
    )
    return signed(report, signer_of(ledger, site))


def broken_report(site: Site, refused: Refused, *, now: datetime | None = None) -> Report:
    """The report where the ledger could not be opened. It has no signature: there is no key to be relied on."""
    verdict = broken_verdict()
    return Report(
        scope="site",
        title=f"Site {site.id}" + (f", {site.site.name}" if site.site.name else ""),
        created=_moment(now),
        verdict=verdict,
        meaning=meaning(verdict),
        promise=promise((), None, mode="unknown", bounded=False),
        mechanisms=(),
        numbers=numbers_of((), None, None),
        events=(),
        events_before=0,
        sites=(),
        released=(),
        not_covered=NotCovered(releases=(), facts=FACTS),
        integrity=broken_integrity(refused),
        audit=audit_of(None, None),
        provenance=Provenance(
            site=site.id,
            name=site.site.name,
            cohorts=(),
            software=software(),
            code_sha256=code_sha256(),
            policy_approver="",
            policy_date="",
            studies=(),
            processing=processing(None, site.disclosure.min_patients, HERE),
        ),
    )


def _policy(history: History, site: Site) -> Policy:
    entry = history.last("policy")
    if entry is None:
        return Policy(site.privacy.epsilon_cap, site.privacy.delta, "")
    return Policy(float(entry.body["epsilon_cap"]), float(entry.body["delta"]), str(entry.body["approver"]))


def _spending(history: History, policy: Policy) -> Spending:
    events, delta = history.events, policy.delta
    exchanged = epsilon(events, delta, "replace_one")
    return Spending(epsilon(events, delta), exchanged, policy.epsilon_cap, delta, events)


def _largest(buckets: Sequence[str]) -> str:
    """The bucket with the highest upper edge, which asks for the smallest delta; "" for none."""
    return max(buckets, key=lambda bucket: upper_edge(bucket) or float("inf"), default="")


def _moment(now: datetime | None) -> str:
    return (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")
