"""The privacy budget report: signed JSON, and HTML and PDF made from it, for whoever must answer for patient data."""

from shared.privacy.report.consortium_report import RunFacts, SiteRow, consortium_report
from shared.privacy.report.document import Report
from shared.privacy.report.signature import report_json, signed, verify_report
from shared.privacy.report.site_report import broken_report, site_report
from shared.privacy.report.write import FILES, write_reports

__all__ = [
    "FILES",
    "Report",
    "RunFacts",
    "SiteRow",
    "broken_report",
    "consortium_report",
    "report_json",
    "signed",
    "site_report",
    "verify_report",
    "write_reports",
]
