"""What a report cannot say where the ledger could not be read: then it must not say that there was nothing."""

from shared.privacy.report.document import Report
from shared.privacy.report.sentences import rounded_up

__all__ = ["NOT_KNOWN", "UNKNOWN", "bound", "unknown"]

NOT_KNOWN = "not known"
UNKNOWN = "Not known: the ledger cannot be relied on."


def unknown(report: Report) -> bool:
    """Whether this is the report of a site on a ledger that does not hold, or could not be opened."""
    return report.scope == "site" and not report.integrity.holds


def bound(report: Report, epsilon: float | None) -> str:
    """An epsilon, "no bound", or "not known" where the ledger is broken."""
    broken = epsilon is None and report.verdict.word == "LEDGER BROKEN"
    return NOT_KNOWN if broken else rounded_up(epsilon)
