"""How each part of a page is set by reportlab."""

from collections.abc import Sequence
from functools import singledispatch
from typing import Any
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Drawing, Rect
from reportlab.lib.colors import HexColor, white
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import Flowable, KeepTogether, Paragraph, Spacer, Table, TableStyle

from shared.privacy.report.layout import Bars, Bullets, Facts, Grid, Layout, Part, Statuses, Text, Tiles

__all__ = ["BOLD", "MONO", "REGULAR", "SMALL_GREY", "Part", "flowables", "heading", "signed_by", "top"]

REGULAR, BOLD, MONO = "mmfed", "mmfed-bold", "mmfed-mono"
INK, MUTED, RULE = HexColor("#22303c"), HexColor("#5c6a77"), HexColor("#e3e8ec")
SMALL_GREY = MUTED
GOOD, BAD = HexColor("#2e7d5b"), HexColor("#a8324a")
TONES = {"good": GOOD, "used": HexColor("#a8621a"), "bad": BAD, "broken": HexColor("#6b2138")}
PALE = {name: HexColor(code) for name, code in
        (("good", "#eaf4ef"), ("used", "#fbf1e4"), ("bad", "#faecef"), ("broken", "#f5e9ed"))}


def _style(size: float, font: str = REGULAR, **more: Any) -> ParagraphStyle:
    settings = {"leading": size * 1.4, "textColor": INK, "splitLongWords": 1, **more}
    return ParagraphStyle("s", fontName=font, fontSize=size, **settings)


BODY, LEAD, SMALL = _style(8.8, spaceAfter=4), _style(11, BOLD, spaceAfter=5), _style(7.6, textColor=MUTED, spaceAfter=3)
STYLES = {"body": BODY, "lead": LEAD, "small": SMALL, "heading": _style(9.4, BOLD, spaceBefore=7, spaceAfter=3, keepWithNext=1)}
H2 = _style(12.5, BOLD, spaceBefore=10, spaceAfter=5, keepWithNext=1)
CAPTION = _style(8.8, BOLD, spaceBefore=5, spaceAfter=3, keepWithNext=1)


def paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    """Plain text; no letter of it is read as markup."""
    return Paragraph(escape(text), style)


def top(layout: Layout, width: float) -> list[Flowable]:
    """The head of page 1, the word large."""
    word = Table(
        [[paragraph(layout.word, _style(27, BOLD, textColor=white, leading=32))]], colWidths=[width], rowHeights=[17 * 2.83 + 12]
    )
    word.setStyle(
        TableStyle([("BACKGROUND", (0, 0), (-1, -1), TONES[layout.tone]), ("LEFTPADDING", (0, 0), (-1, -1), 16),
                    ("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("ROUNDEDCORNERS", [7, 7, 7, 7])])
    )
    return [
        paragraph(f"mmfed · {layout.kicker}", _style(8, textColor=MUTED, spaceAfter=3)),
        paragraph(layout.title, _style(20, BOLD, leading=24, spaceAfter=3)),
        paragraph(layout.subtitle, _style(9, textColor=MUTED, spaceAfter=10)),
        word,
        Spacer(1, 4),
    ]


def heading(letter: str, title: str, tone: str) -> list[Flowable]:
    """A block's heading."""
    colour = TONES[tone].hexval().replace("0x", "#")
    return [Paragraph(f'<font color="{colour}">{escape(letter)}</font>&nbsp;&nbsp;{escape(title)}', H2)]


def signed_by(width: float) -> Flowable:
    """Where whoever has read the report signs."""
    names = ["Read by", "", "Date", "", "Signature"]
    table = Table([[paragraph(name, SMALL) for name in names]], colWidths=[width * w for w in (0.38, 0.04, 0.16, 0.04, 0.38)])
    lines = [("LINEABOVE", (column, 0), (column, 0), 0.6, INK) for column in (0, 2, 4)]
    table.setStyle(TableStyle([*lines, *_padding(0, 2)]))
    return KeepTogether([Spacer(1, 30), table])


@singledispatch
def flowables(part: Part, width: float, tone: str) -> list[Flowable]:
    """One part as reportlab's own, `width` points wide."""
    raise TypeError(f"expected a part of a page, got {type(part).__name__}; give it a form here")


@flowables.register
def _(part: Text, width: float, tone: str) -> list[Flowable]:
    return [paragraph(part.text, STYLES[part.kind])]


@flowables.register
def _(part: Bullets, width: float, tone: str) -> list[Flowable]:
    base = SMALL if part.small else BODY
    style = ParagraphStyle("b", parent=base, leftIndent=9, bulletIndent=0, spaceAfter=2)
    return [Paragraph(escape(item), style, bulletText="•") for item in part.items]


@flowables.register
def _(part: Facts, width: float, tone: str) -> list[Flowable]:
    if not part.rows:
        return []
    narrow = width < 320
    shares = (0.66, 0.34) if narrow else (0.24, 0.76)
    name, value = (BODY, _style(8.8, BOLD, alignment=TA_RIGHT)) if narrow else (_style(8, BOLD), _style(8))
    if part.mono:
        value = _style(6.8, MONO, leading=11)
    rows = [[paragraph(key, name), paragraph(text, value)] for key, text in part.rows]
    table = Table(rows, colWidths=[width * share for share in shares])
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), *_padding(0, 1.2)]))
    return [table, Spacer(1, 3)]


@flowables.register
def _(part: Grid, width: float, tone: str) -> list[Flowable]:
    size = 6.4 if part.small else 8
    left, right = _style(size, leading=size * 1.3), _style(size, leading=size * 1.3, alignment=TA_RIGHT)
    head = [_style(size, BOLD, textColor=MUTED, leading=size * 1.3, alignment=TA_RIGHT if i in part.right else 0)
            for i in range(len(part.head))]

    def cells(row: Sequence[str]) -> list[Paragraph]:
        return [paragraph(cell, right if i in part.right else left) for i, cell in enumerate(row)]

    rows = [[paragraph(name, style) for name, style in zip(part.head, head, strict=True)], *map(cells, part.rows)]
    table = Table(rows, colWidths=[width * share for share in part.widths], repeatRows=1)
    table.setStyle(
        TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, -1), 0.5, RULE), *_padding(2, 2)])
    )
    return [paragraph(part.caption, CAPTION), table, Spacer(1, 5)]


@flowables.register
def _(part: Statuses, width: float, tone: str) -> list[Flowable]:
    rows = []
    for what, status, note, bad in part.rows:
        word = _style(7.6, BOLD, alignment=TA_RIGHT, textColor=BAD if bad else GOOD)
        rows.append([[paragraph(what, _style(8)), paragraph(note, _style(6.8, textColor=MUTED))], paragraph(status, word)])
    table = Table(rows, colWidths=[width * 0.62, width * 0.38])
    table.setStyle(
        TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, -1), 0.5, RULE), *_padding(0, 2)])
    )
    return [table, Spacer(1, 4)]


@flowables.register
def _(part: Tiles, width: float, tone: str) -> list[Flowable]:
    small = _style(7.4, textColor=MUTED, leading=9.6)
    cells = [
        [paragraph(tile.value, _style(19, BOLD, leading=24)), paragraph(tile.label, small),
         *([paragraph(tile.note, small)] if tile.note else [])]
        for tile in part.tiles
    ]
    gap, count = 7.0, len(cells)
    each = (width - gap * (count - 1)) / count
    row: list[Any] = [cells[0]]
    for cell in cells[1:]:
        row += ["", cell]
    table = Table([row], colWidths=[each if i % 2 == 0 else gap for i in range(2 * count - 1)])
    own = [
        style
        for i in range(0, 2 * count - 1, 2)
        for style in (("BACKGROUND", (i, 0), (i, 0), PALE[tone]), ("LINEABOVE", (i, 0), (i, 0), 2.5, TONES[tone]))
    ]
    table.setStyle(TableStyle([*own, ("VALIGN", (0, 0), (-1, -1), "TOP"), *_padding(8, 6)]))
    return [Spacer(1, 4), table, Spacer(1, 6)]


@flowables.register
def _(part: Bars, width: float, tone: str) -> list[Flowable]:
    label, amount = width * 0.34, width * 0.17
    track = width - label - amount
    rows = [
        [paragraph(bar.label, _style(8.2)), _track(bar.share, track - 10, tone), paragraph(bar.text, _style(8.2, alignment=TA_RIGHT))]
        for bar in part.bars
    ]
    table = Table(rows, colWidths=[label, track, amount])
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "MIDDLE"), *_padding(0, 2.5)]))
    return [KeepTogether([paragraph(part.caption, CAPTION), table])]


def _track(share: float | None, width: float, tone: str) -> Drawing:
    """A bar; without a bound it is full and striped, so that it does not look like one that is just full."""
    high = 10.0
    drawing = Drawing(width, high)
    drawing.add(Rect(0, 0, width, high, rx=2.5, ry=2.5, fillColor=RULE, strokeColor=None))
    filled = width if share is None else width * share
    if filled > 0:
        drawing.add(Rect(0, 0, filled, high, rx=2.5, ry=2.5, fillColor=TONES[tone], strokeColor=None))
    if share is None:
        for i in range(1, int(width / 9)):
            drawing.add(Rect(9.0 * i, 0, 2.2, high, fillColor=white, strokeColor=None))
    return drawing


def _padding(side: float, above: float) -> list[tuple[Any, ...]]:
    whole = ((0, 0), (-1, -1))
    return [
        ("LEFTPADDING", *whole, side),
        ("RIGHTPADDING", *whole, side),
        ("TOPPADDING", *whole, above),
        ("BOTTOMPADDING", *whole, above),
    ]
