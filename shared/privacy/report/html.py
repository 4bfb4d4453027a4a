"""privacy-report.html: one file with everything in it, which prints on A4."""

from jinja2 import Environment, PackageLoader

from shared.privacy.report.document import Report
from shared.privacy.report.pages import layout_of

__all__ = ["render_html"]


def render_html(report: Report) -> str:
    """The page as text: no reference to anything outside it, every value escaped."""
    environment = Environment(
        loader=PackageLoader("shared.privacy.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("privacy.html.j2").render(page=layout_of(report))
