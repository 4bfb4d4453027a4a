"""The curves as a section of a page, and as a page that stands alone."""

from collections.abc import Collection
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from server.checkpoint import write_atomically
from simulations.report.drawing import quiet, to_svg
from simulations.report.words import metric_name
from simulations.stresses.figure import stress_figure
from simulations.stresses.tables import cells, stress_rows

__all__ = ["stress_words", "write_page"]


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
            stress=stress_words(content),
        )
    )
    write_atomically(folder / "stress.html", page.encode())
    return folder / "stress.html"


def _environment() -> Environment:
    return Environment(loader=PackageLoader("simulations.stresses", "."), autoescape=True, trim_blocks=True)


def stress_words(content: dict[str, Any], *, same: bool | None = None, said: Collection[str] = ()) -> dict[str, Any]:
    """What the template section.html.j2 shows as `stress`: the picture, the tables, the notes.

    Parameters
    ----------
    content
        That of stress.json.
    same
        Whether the curves are of the study whose report shows them; None = they stand alone.
    said
        Notes that stand elsewhere on the page.
    """
    with quiet():
        picture = to_svg(stress_figure(content), "stress", "Dose-response curves of every stress")
    return {
        "metric": metric_name(content["metric"]),
        "study": content["study"]["name"],
        "same": same,
        "command": content["command"],
        "rounds": content["rounds"],
        "cohort": Path(content["cohort"]["name"]).name,
        "seeds": content["seeds"],
        "figures": [("Dose-response curves", picture)],
        "notes": [note for note in content["notes"] if note not in said],
        "rows": stress_rows(content),
        "curves": [
            {**curve, "rows": [cells(curve, row, content["metric"]) for row in curve["rows"]]}
            for curve in content["curves"]
        ],
    }
