"""The privacy budget report of this site, written after every round and whenever a person asks for it."""

from pathlib import Path

import structlog

from client.site_ledger import ledger_folder, open_ledger
from shared.errors import Refused
from shared.privacy.report import broken_report, site_report, write_reports
from shared.site import Site

__all__ = ["keep_report_current", "write_site_report"]

log = structlog.get_logger()


def write_site_report(site: Site, out: Path | None = None) -> list[Path]:
    """Write privacy-report.json, .html and .pdf into `out` (default: the ledger's folder); their paths.

    A ledger that does not hold gives a report that says so.
    """
    folder = out or ledger_folder(site)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        ledger = open_ledger(site)
    except Refused as exc:
        return write_reports(broken_report(site, exc), folder)
    return write_reports(site_report(ledger, site), folder)


def keep_report_current(site: Site) -> None:
    """The same after a round, which a report that cannot be written does not undo."""
    try:
        write_site_report(site)
    except Exception:  # the boundary: the round is charged and its answer stored
        log.exception("privacy report not written", site=site.id)
