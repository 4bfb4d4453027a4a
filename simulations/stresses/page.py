"""The curves as a section of a page, and as a page that stands alone."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from server.checkpoint import write_atomically
from simulations.report.drawing import quiet, to_svg
from simulations.report.words import metric_name
from simulations.stresses.figure import stress_figure
from simulations.stresses.tables import cells

__all__ = ["stress_section", "write_page"]


def write_page(content: dict[str, Any], folder: Path) -> Path:
    """Write `folder`/stress.html, which needs no other file."""
    css = files("simulations.report").joinpath("report.css").read_text(encoding="utf-8")
    page = (
        _environment()
        .get_template("stress.html.j2")
        .render(
            css=Markup(css),  # noqa: S704 - our own
            study=content["study"]["name"],
            command=content["command"],
            **_words(content),
        )
    )
    write_atomically(folder / "stress.html", page.encode())
    return folder / "stress.html"


def stress_section(content: dict[str, Any]) -> Markup:
    """The section alone, for a page with the style of the report. `content` is that of stress.json."""
    return Markup(_environment().get_template("section.html.j2").render(**_words(content)))  # noqa: S704 - escaped there


def _environment() -> Environment:
    return Environment(loader=PackageLoader("simulations.stresses", "."), autoescape=True, trim_blocks=True)


def _words(content: dict[str, Any]) -> dict[str, Any]:
    with quiet():
        picture = to_svg(stress_figure(content), "stress", "Dose-response curves of every stress")
    return {
        "metric": metric_name(content["metric"]),
        "rounds": content["rounds"],
        "cohort": content["cohort"]["name"],
        "seeds": content["seeds"],
        "picture": picture,
        "notes": content["notes"],
        "curves": [
            {**curve, "rows": [cells(curve, row, content["metric"]) for row in curve["rows"]]}
            for curve in content["curves"]
        ],
    }
