"""Write a report in its three forms; a reader never finds half of one."""

from pathlib import Path

from shared.cohort.drafts import replacing
from shared.privacy.report.document import Report
from shared.privacy.report.signature import report_json

__all__ = ["FILES", "write_reports"]

FILES = ("privacy-report.json", "privacy-report.html", "privacy-report.pdf")


def write_reports(report: Report, folder: Path) -> list[Path]:
    """Write privacy-report.json, .html and .pdf into an existing `folder`, each in one step; their paths.

    Raises
    ------
    OSError
        One of them cannot be written. Those before it are new, the others as they were.
    """
    from shared.privacy.report.html import render_html
    from shared.privacy.report.pdf import render_pdf  # imports reportlab and matplotlib

    contents = (report_json(report).encode(), render_html(report).encode(), render_pdf(report))
    paths = [folder / name for name in FILES]
    for path, content in zip(paths, contents, strict=True):
        with replacing(path) as draft:
            draft.write_bytes(content)
    return paths
