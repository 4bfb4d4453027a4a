"""prepare-report.html: what became of a site's files, in one file that opens without a network."""

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, Template

from client.prepare.report import STATES, PrepareReport, ReportRow
from client.prepare.settings import PrepareSettings
from shared.cohort.bag_files import read_bag_attributes
from shared.cohort.drafts import replacing
from shared.cohort.tables import slide_id_of
from shared.site import Site

__all__ = ["Prepared", "SlideView", "render_page", "write_reports"]

SLIDES_SHOWN = 60
"""Pictures in the page; those with a warning come first."""

ROWS_SHOWN = 500
"""Inputs named in the page; prepare-report.csv names all."""

FRACTIONS = ("tissue", "pen", "black", "bubbles", "blurred")


@dataclass(frozen=True)
class SlideView:
    """One slide as the page shows it."""

    key: str
    file: str
    patches: int
    fractions: dict[str, float]  # of the slide's area; `blurred` of the tiles that were read
    warning: str
    picture: str  # the JPEG in base64, "" when there is none


Prepared = tuple[PrepareSettings, PrepareReport]
"""What was asked for, and what became of it."""


def write_reports(site: Site, prepared: Sequence[Prepared]) -> None:
    """Write prepare-report.csv and .html into the state folder: one study's, or those of several in one."""
    merged(prepared).write(site.state / "prepare-report.csv")
    with replacing(site.state / "prepare-report.html") as draft:
        draft.write_text(render_page(site, prepared), encoding="utf-8")


def merged(prepared: Sequence[Prepared]) -> PrepareReport:
    """The reports of several studies as one: what they say alike stands once."""
    reports = [report for _, report in prepared]
    rows = {(row.key, row.case_id, row.file, row.state, row.reason): row for report in reports for row in report.rows}
    coverage = list(dict.fromkeys(part for report in reports for part in report.coverage))
    return PrepareReport(reports[0].store, list(rows.values()), coverage)


def render_page(site: Site, prepared: Sequence[Prepared]) -> str:
    """The page as text; every value is escaped, nothing outside is referred to."""
    report = merged(prepared)
    slides = _slides([report for _, report in prepared])
    left_out = [row for row in report.rows if row.state == "left out"]
    content: dict[str, Any] = {
        "site": site,
        "stores": {settings.digest[:12]: _settings(settings) for settings, _ in prepared},
        "states": STATES,
        "kinds": _kinds(report.rows),
        "reasons": Counter(_without_numbers(row.reason) for row in left_out).most_common(),
        "coverage": _coverage(report),
        "slides": slides[:SLIDES_SHOWN],
        "slides_in_all": len(slides),
        "rows": [row for state in ("left out", "noted") for row in report.rows if row.state == state][:ROWS_SHOWN],
        "rows_in_all": sum(row.state != "used" for row in report.rows),
    }
    return _template().render(content)


@cache
def _template() -> Template:
    """Compiled once: a simulation prepares many hospitals in one process."""
    environment = Environment(
        loader=PackageLoader("client.prepare", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2")


def _kinds(rows: Sequence[ReportRow]) -> dict[str, Counter[str]]:
    """What the inputs are (the folder or table they come from) -> state -> number."""
    kinds: dict[str, Counter[str]] = {}
    for row in rows:
        kinds.setdefault(row.file.split("/")[0], Counter())[row.state] += 1
    return dict(sorted(kinds.items()))


def _without_numbers(reason: str) -> str:
    """A reason without the line it is about, so that equal faults count together."""
    head, colon, rest = reason.partition(": ")
    return rest if colon and head.startswith("line ") else reason


def _coverage(report: PrepareReport) -> dict[str, list[Any]]:
    parts: dict[str, list[Any]] = {}
    for part in report.coverage:
        parts.setdefault(part.modality, []).append(part)
    return parts


def _slides(reports: Sequence[PrepareReport]) -> list[SlideView]:
    """The slides in the stores; those with a warning first."""
    views = [_view(report, row) for report in reports for row in report.rows if _is_slide(row)]
    return sorted(views, key=lambda view: view.warning == "")


def _is_slide(row: ReportRow) -> bool:
    return row.state == "used" and Path(row.file).parent.name == "slides"


def _view(report: PrepareReport, row: ReportRow) -> SlideView:
    slide_id = slide_id_of(Path(row.file).name)
    attributes = read_bag_attributes(report.store / "slides" / f"{slide_id}.h5")
    picture = report.store / "thumbnails" / f"{slide_id}.jpg"
    return SlideView(
        key=row.key,
        file=row.file,
        patches=int(attributes.get("patches", 0)),
        fractions={name: float(attributes[name]) for name in FRACTIONS if name in attributes},
        warning=str(attributes.get("warning", "")),
        picture=base64.b64encode(picture.read_bytes()).decode() if picture.is_file() else "",
    )


def _settings(settings: PrepareSettings) -> dict[str, str]:
    """What was asked for, in words."""
    words = {}
    if settings.slides:
        s = settings.slides
        words["slides"] = f"{s.encoder} ({s.dim}), tiles of {s.tile} px at {s.mpp:g} um/px, at most {s.max_patches}"
        words["slides"] += "" if s.stain == "none" else f", {s.stain} stain normalisation"
    if settings.genes:
        words["expression"] = f"{len(settings.genes)} genes"
    if settings.blood:
        b = settings.blood
        words["blood"] = f"{len(b.analytes)} analytes, {b.route}" + (f" by {b.text_encoder}" if b.text_encoder else "")
    if settings.imaging:
        i = settings.imaging
        words["imaging"] = f"{i.encoder} ({i.dim}), {'lesion cut out' if i.crop else 'whole image'}"
    if settings.clinical:
        words["clinical"] = ", ".join(name for name, _, _ in settings.clinical)
    return words
