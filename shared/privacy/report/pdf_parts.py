"""How each part of a page is set by reportlab."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import white
from reportlab.lib.enums import TA_LEFT, TA_RIGHT
from reportlab.platypus import CondPageBreak, Flowable, KeepTogether, Paragraph, Spacer, Table, TableStyle
from reportlab.platypus.flowables import TopPadder

from shared.privacy.report.layout import Bars, Bullets, Facts, Grid, Layout, Part, Statuses, Text, Tiles, Tone
from shared.privacy.report.pdf_styles import BAD, BOLD, GOOD, INK, MONO, MUTED, PALE, REGULAR, RULE, TONES, style

__all__ = ["Look", "flowables", "heading", "signed_by", "top"]

ROOM = 110  # points below which a block does not begin
COLUMN = 320  # points; what is narrower stands in one of two columns


@dataclass(frozen=True)
class Look:
    """Where parts are set: how wide in points, in which colour, and how large."""

    width: float
    tone: Tone
    scale: float = 1.0

    def style(self, size: float, font: str = "", **more: Any) -> Any:
        """A paragraph style of `size` times the scale."""
        return style(size * self.scale, font, **more)


def paragraph(text: str, form: Any) -> Paragraph:
    """Plain text; no letter of it is read as markup."""
    return Paragraph(escape(text), form)


def top(layout: Layout, look: Look) -> list[Flowable]:
    """The head of page 1, the word large."""
    large = paragraph(layout.word, style(28, BOLD, textColor=white, leading=34))
    word = Table([[large]], colWidths=[look.width], rowHeights=[62])
    whole = ((0, 0), (-1, -1))
    word.setStyle(
        TableStyle(
            [
                ("BACKGROUND", *whole, TONES[layout.tone]),
                ("LEFTPADDING", *whole, 18),
                ("VALIGN", *whole, "MIDDLE"),
                ("FONTNAME", *whole, REGULAR),
                ("ROUNDEDCORNERS", [7, 7, 7, 7]),
            ]
        )
    )
    return [
        paragraph(f"mmfed · {layout.kicker}", style(8.4, textColor=MUTED, spaceAfter=4)),
        paragraph(layout.title, style(21, BOLD, leading=26, spaceAfter=4)),
        paragraph(layout.subtitle, style(9.6, textColor=MUTED, spaceAfter=14)),
        word,
        Spacer(1, 10),
    ]


def heading(letter: str, title: str, look: Look) -> list[Flowable]:
    """A block's heading."""
    colour = TONES[look.tone].hexval().replace("0x", "#")
    form = look.style(12.5, BOLD, spaceBefore=11 * look.scale, spaceAfter=5 * look.scale, keepWithNext=1)
    line = Paragraph(f'<font color="{colour}">{escape(letter)}</font>&nbsp;&nbsp;{escape(title)}', form)
    return [CondPageBreak(ROOM), line]


def signed_by(look: Look) -> Flowable:
    """Where whoever has read the report signs, at the foot of the page."""
    names, shares = ["Read by", "", "Date", "", "Signature"], (0.38, 0.04, 0.16, 0.04, 0.38)
    form = style(8, textColor=MUTED)
    table = Table([[paragraph(name, form) for name in names]], colWidths=[look.width * share for share in shares])
    lines = [("LINEABOVE", (column, 0), (column, 0), 0.6, INK) for column in (0, 2, 4)]
    table.setStyle(TableStyle([*lines, *_padding(0, 2)]))
    return TopPadder(table)


@singledispatch
def flowables(part: Part, look: Look) -> list[Flowable]:
    """One part as reportlab's own."""
    raise TypeError(f"expected a part of a page, got {type(part).__name__}; give it a form here")


@flowables.register
def _(part: Text, look: Look) -> list[Flowable]:
    forms = {
        "body": look.style(8.8, spaceAfter=4),
        "lead": look.style(11, BOLD, spaceAfter=6),
        "small": look.style(7.8, textColor=MUTED, spaceAfter=3),
        "heading": look.style(9.4, BOLD, spaceBefore=7, spaceAfter=3, keepWithNext=1),
    }
    return [paragraph(part.text, forms[part.kind])]


@flowables.register
def _(part: Bullets, look: Look) -> list[Flowable]:
    size, colour = (7.8, MUTED) if part.small else (8.8, INK)
    form = look.style(
        size, textColor=colour, leftIndent=10 * look.scale, spaceAfter=2.5, bulletFontSize=size * look.scale
    )
    return [Paragraph(escape(item), form, bulletText="•") for item in part.items]


@flowables.register
def _(part: Facts, look: Look) -> list[Flowable]:
    if not part.rows:
        return []
    narrow = look.width < COLUMN
    shares = (0.66, 0.34) if narrow else (0.24, 0.76)
    name, value = (
        (look.style(8.8), look.style(8.8, BOLD, alignment=TA_RIGHT)) if narrow else (look.style(8, BOLD), look.style(8))
    )
    if part.mono:
        value = look.style(6.8, MONO, leading=11)
    rows = [[paragraph(key, name), paragraph(text, value)] for key, text in part.rows]
    table = Table(rows, colWidths=[look.width * share for share in shares], splitInRow=1)
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), *_padding(0, 1.2)]))
    return [table, Spacer(1, 4)]


@flowables.register
def _(part: Grid, look: Look) -> list[Flowable]:
    size = 7 if part.small else 8
    align = [TA_RIGHT if i in part.right else TA_LEFT for i in range(len(part.head))]
    head = [look.style(size, BOLD, textColor=MUTED, leading=size * 1.3, alignment=side) for side in align]
    body = [look.style(size, leading=size * 1.3, alignment=side) for side in align]

    def cells(row: Sequence[str], forms: Sequence[Any]) -> list[Paragraph]:
        return [paragraph(cell, form) for cell, form in zip(row, forms, strict=True)]

    rows = [cells(part.head, head), *(cells(row, body) for row in part.rows)]
    table = Table(
        rows, colWidths=[look.width * share for share in part.widths], repeatRows=1, splitInRow=1, hAlign="LEFT"
    )
    line = ("LINEBELOW", (0, 0), (-1, -1), 0.5, RULE)
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), line, *_padding(4, 2.2)]))
    caption = paragraph(part.caption, look.style(8.8, BOLD, spaceBefore=6, spaceAfter=3, keepWithNext=1))
    return [caption, table, Spacer(1, 6)]


@flowables.register
def _(part: Statuses, look: Look) -> list[Flowable]:
    note, rows = look.style(7, textColor=MUTED), []
    for what, status, approver, told, bad in part.rows:
        word = look.style(7.8, BOLD, alignment=TA_RIGHT, textColor=BAD if bad else GOOD)
        by = look.style(7, alignment=TA_RIGHT, textColor=BAD)
        right = [paragraph(f"{status}," if approver else status, word)]
        right += [paragraph(f"approved by {approver}", by)] if approver else []
        rows.append([[paragraph(what, look.style(8.4)), paragraph(told, note)], right])
    table = Table(rows, colWidths=[look.width * 0.64, look.width * 0.36], splitInRow=1)
    line = ("LINEBELOW", (0, 0), (-1, -1), 0.5, RULE)
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), line, *_padding(0, 2.4)]))
    return [table, Spacer(1, 4)]


@flowables.register
def _(part: Tiles, look: Look) -> list[Flowable]:
    small = look.style(7.2, textColor=MUTED, leading=9.4 * look.scale)
    gap, count = 7.0, len(part.tiles)
    each = (look.width - gap * (count - 1)) / count
    row: list[Any] = []
    for tile in part.tiles:
        texts = [paragraph(text, small) for text in (tile.label, tile.note) if text]
        large = look.style(18 if tile.figure else 12.5, BOLD, leading=25.2 * look.scale)
        row += ["", [paragraph(tile.value, large), *texts]]
    table = Table([row[1:]], colWidths=[each if i % 2 == 0 else gap for i in range(2 * count - 1)])
    own = [
        form
        for i in range(0, 2 * count - 1, 2)
        for form in (
            ("BACKGROUND", (i, 0), (i, 0), PALE[look.tone]),
            ("LINEABOVE", (i, 0), (i, 0), 2.5, TONES[look.tone]),
        )
    ]
    table.setStyle(TableStyle([*own, ("VALIGN", (0, 0), (-1, -1), "TOP"), *_padding(8, 7)]))
    return [Spacer(1, 6), table, Spacer(1, 8)]


@flowables.register
def _(part: Bars, look: Look) -> list[Flowable]:
    label, amount = look.width * 0.36, look.width * 0.17
    track, name = look.width - label - amount, look.style(8.2)
    end = look.style(8.2, alignment=TA_RIGHT)
    rows = [
        [paragraph(bar.label, name), _Track(bar.share, track - 10, look.tone), paragraph(bar.text, end)]
        for bar in part.bars
    ]
    table = Table(rows, colWidths=[label, track, amount])
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "MIDDLE"), *_padding(0, 3)]))
    caption = paragraph(part.caption, look.style(8.8, BOLD, spaceBefore=10, spaceAfter=4))
    return [KeepTogether([caption, table])]


class _Track(Flowable):  # type: ignore[misc]
    """A bar; without a bound it is full and cut up, so that it does not look like one that is just full."""

    def __init__(self, share: float | None, width: float, tone: Tone) -> None:
        super().__init__()
        self.share, self.tone = share, tone
        self.width, self.height = width, 11.0

    def draw(self) -> None:
        """Called by reportlab."""
        self._bar(0, self.width, RULE)
        self._bar(0, self.width if self.share is None else self.width * self.share, TONES[self.tone])
        if self.share is None:
            for cut in range(1, int(self.width / 9)):
                self._bar(9.0 * cut, 2.2, white, radius=0)

    def _bar(self, x: float, width: float, colour: Any, radius: float = 2.5) -> None:
        if width > 0:
            self.canv.setFillColor(colour)
            self.canv.roundRect(x, 0, width, self.height, min(radius, width / 2), stroke=0, fill=1)


def _padding(side: float, above: float) -> list[tuple[Any, ...]]:
    """Also the face, since a table names one even where every cell has its own."""
    whole = ((0, 0), (-1, -1))
    return [
        ("FONTNAME", *whole, REGULAR),
        ("LEFTPADDING", *whole, side),
        ("RIGHTPADDING", *whole, side),
        ("TOPPADDING", *whole, above),
        ("BOTTOMPADDING", *whole, above),
    ]
