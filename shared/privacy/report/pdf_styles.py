"""Faces and colours of the PDF, those of privacy.css."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from matplotlib import get_data_path
from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

__all__ = ["BAD", "BOLD", "GOOD", "INK", "MONO", "MUTED", "PALE", "REGULAR", "RULE", "TONES", "register_fonts", "style"]

REGULAR, BOLD, MONO = "mmfed", "mmfed-bold", "mmfed-mono"
FILES = {REGULAR: "DejaVuSans.ttf", BOLD: "DejaVuSans-Bold.ttf", MONO: "DejaVuSansMono.ttf"}
INK, MUTED, RULE = HexColor("#22303c"), HexColor("#5c6a77"), HexColor("#e3e8ec")
GOOD, BAD = HexColor("#2e7d5b"), HexColor("#a8324a")
TONES = {"good": GOOD, "used": HexColor("#a8621a"), "bad": BAD, "broken": HexColor("#6b2138")}
PALE = {
    "good": HexColor("#eaf4ef"),
    "used": HexColor("#fbf1e4"),
    "bad": HexColor("#faecef"),
    "broken": HexColor("#f5e9ed"),
}


def style(size: float, font: str = "", **more: Any) -> ParagraphStyle:
    """A paragraph style of `size` points; words that are too long for a line, such as hashes, are broken."""
    settings = {"leading": size * 1.4, "textColor": INK, "splitLongWords": 1, "bulletFontName": font or REGULAR, **more}
    return ParagraphStyle("mmfed", fontName=font or REGULAR, fontSize=size, **settings)


@lru_cache(maxsize=1)
def register_fonts() -> None:
    """DejaVu, which comes with matplotlib: it has the letters of European names, and PDF's own fonts do not."""
    folder = Path(get_data_path()) / "fonts" / "ttf"
    for name, file in FILES.items():
        pdfmetrics.registerFont(TTFont(name, folder / file))
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)
