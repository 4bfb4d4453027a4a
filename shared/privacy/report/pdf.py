"""privacy-report.pdf: the same parts in the same order, on A4, with every letter's shape inside the file."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import get_data_path
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import BaseDocTemplate, Frame, FrameBreak, NextPageTemplate, PageBreak, PageTemplate

from shared.privacy.report.document import Report
from shared.privacy.report.layout import Layout
from shared.privacy.report.pages import layout_of
from shared.privacy.report.pdf_parts import BOLD, MONO, REGULAR, SMALL_GREY, Part, flowables, heading, signed_by, top

__all__ = ["render_pdf"]

MARGIN, BOTTOM, GAP = 16 * mm, 17 * mm, 8 * mm
WIDTH, HEIGHT = A4[0] - 2 * MARGIN, A4[1] - MARGIN - BOTTOM
FILES = {REGULAR: "DejaVuSans.ttf", BOLD: "DejaVuSans-Bold.ttf", MONO: "DejaVuSansMono.ttf"}


def render_pdf(report: Report) -> bytes:
    """The PDF's bytes, the same for the same report."""
    _fonts()
    layout, buffer = layout_of(report), BytesIO()
    document = BaseDocTemplate(
        buffer,
        pagesize=A4,
        title=f"{layout.title}: {layout.kicker}",
        author="mmfed",
        subject=layout.word,
        lang="en",
        invariant=1,
    )
    document.addPageTemplates(_templates(layout))
    document.build(_story(layout))
    return buffer.getvalue()


def _story(layout: Layout) -> list[Any]:
    half = (WIDTH - GAP) / 2
    story: list[Any] = [*top(layout, WIDTH)]
    for block in layout.first:
        story += _block(block.letter, block.title, block.parts, WIDTH, layout)
    story += [signed_by(WIDTH), NextPageTemplate("two"), PageBreak()]
    story += _block(layout.left.letter, layout.left.title, layout.left.parts, half, layout)
    story += [FrameBreak()]
    story += _block(layout.right.letter, layout.right.title, layout.right.parts, half, layout)
    story += [NextPageTemplate("one"), PageBreak()]
    for block in layout.rest:
        story += _block(block.letter, block.title, block.parts, WIDTH, layout)
    return story


def _block(letter: str, title: str, parts: Sequence[Part], width: float, layout: Layout) -> list[Any]:
    found: list[Any] = heading(letter, title, layout.tone)
    for part in parts:
        found += flowables(part, width, layout.tone)
    return found


def _templates(layout: Layout) -> list[PageTemplate]:
    frame: Callable[..., Frame] = partial(
        Frame, y1=BOTTOM, height=HEIGHT, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0
    )
    half = (WIDTH - GAP) / 2
    whole = frame(x1=MARGIN, width=WIDTH, id="whole")
    columns = [frame(x1=MARGIN, width=half, id="left"), frame(x1=MARGIN + half + GAP, width=half, id="right")]

    def footer(canvas: Any, document: Any) -> None:
        canvas.saveState()
        canvas.setFont(REGULAR, 7.5)
        canvas.setFillColor(SMALL_GREY)
        canvas.drawString(MARGIN, 10 * mm, layout.footer)
        canvas.drawRightString(A4[0] - MARGIN, 10 * mm, f"page {document.page}")
        canvas.restoreState()

    return [PageTemplate("one", [whole], onPage=footer), PageTemplate("two", columns, onPage=footer)]


@lru_cache(maxsize=1)
def _fonts() -> None:
    """DejaVu, which comes with matplotlib: it has the letters of European names, and PDF's own fonts do not."""
    folder = Path(get_data_path()) / "fonts" / "ttf"
    for name, file in FILES.items():
        pdfmetrics.registerFont(TTFont(name, folder / file))
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)
