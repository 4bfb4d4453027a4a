"""privacy-report.pdf: the same parts in the same order, on A4, with every letter's shape inside the file."""

from functools import partial
from io import BytesIO
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, FrameBreak, NextPageTemplate, PageBreak, PageTemplate, Spacer

from shared.privacy.report.document import Report
from shared.privacy.report.layout import Block, Layout
from shared.privacy.report.pages import layout_of
from shared.privacy.report.pdf_parts import Look, flowables, heading, signed_by, top
from shared.privacy.report.pdf_styles import MUTED, REGULAR, register_fonts

__all__ = ["render_pdf"]

MARGIN, BOTTOM, GAP = 16 * mm, 18 * mm, 8 * mm
WIDTH, HEIGHT = A4[0] - 2 * MARGIN, A4[1] - MARGIN - BOTTOM
HALF = (WIDTH - GAP) / 2
FIRST_PAGE = 1.16
"""Page 1 is set larger: it is for everybody."""


def render_pdf(report: Report) -> bytes:
    """The PDF's bytes, the same for the same report."""
    register_fonts()
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
    document.addPageTemplates(_templates())
    document.build(_story(layout), canvasmaker=partial(_Numbered, footer=layout.footer))
    return buffer.getvalue()


class _Numbered(Canvas):  # type: ignore[misc]
    """Draws the foot of every page when the number of pages is known."""

    def __init__(self, *arguments: Any, footer: str, **named: Any) -> None:
        super().__init__(*arguments, **{**named, "initialFontName": REGULAR})
        self._footer, self._pages = footer, []  # type: tuple[str, list[dict[str, Any]]]

    def showPage(self) -> None:  # noqa: N802 - reportlab's name
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, page in enumerate(self._pages, start=1):
            self.__dict__.update(page)
            self.setFont(REGULAR, 7.5)
            self.setFillColor(MUTED)
            self.drawString(MARGIN, 10 * mm, self._footer)
            self.drawRightString(A4[0] - MARGIN, 10 * mm, f"page {number} of {len(self._pages)}")
            super().showPage()
        super().save()


def _story(layout: Layout) -> list[Any]:
    first, half, whole = Look(WIDTH, layout.tone, FIRST_PAGE), Look(HALF, layout.tone), Look(WIDTH, layout.tone)
    story: list[Any] = [*top(layout, first)]
    for block in layout.first:
        story += _block(block, first)
    story += [Spacer(1, 24), signed_by(first), NextPageTemplate("two"), PageBreak()]
    story += [*_block(layout.left, half), FrameBreak(), *_block(layout.right, half)]
    story += [NextPageTemplate("one"), PageBreak()]
    for block in layout.rest:
        story += _block(block, whole)
    return story


def _block(block: Block, look: Look) -> list[Any]:
    found: list[Any] = heading(block.letter, block.title, look)
    for part in block.parts:
        found += flowables(part, look)
    return found


def _templates() -> list[PageTemplate]:
    def frame(x: float, width: float) -> Frame:
        return Frame(x, BOTTOM, width, HEIGHT, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)

    columns = [frame(MARGIN, HALF), frame(MARGIN + HALF + GAP, HALF)]
    return [
        PageTemplate("one", [frame(MARGIN, WIDTH)]),
        PageTemplate("two", columns),
    ]
