"""From a matplotlib figure to SVG that stands inside the page and takes the page's font."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import StringIO
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["INK", "RULE", "canvas", "legend_above", "quiet", "text_width", "to_svg"]

INK, MUTED, RULE = "#22303c", "#5c6a77", "#dfe4e9"

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.labelsize": 12,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 12,
    "svg.fonttype": "none",
    "svg.hashsalt": "mmfed",
    "axes.unicode_minus": True,
}


@contextmanager
def quiet() -> Iterator[None]:
    """The report's style; a hospital named in letters that the measuring font lacks is no reason for a warning."""
    with mpl.rc_context(rc=dict(STYLE)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def canvas(
    width: float, height: float, *, left: float = 44, right: float = 10, top: float = 6, bottom: float = 28
) -> tuple[Figure, Axes]:
    """One pair of axes with hairlines, `width` by `height` with the given margins, all in CSS pixels."""
    figure = Figure(figsize=(width / 72, height / 72))
    axes = figure.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    )
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, pad=6)
    axes.set_axisbelow(True)
    return figure, axes


def text_width(labels: list[str], most: float = 230) -> float:
    """Room for the longest line of tick labels, in CSS pixels; at most `most`."""
    longest = max(len(line) for label in labels for line in label.split("\n"))
    return min(most, 16 + 6.6 * longest)


def legend_above(axes: Axes, columns: int) -> None:
    """A frameless legend above the axes."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=columns,
        frameon=False,
        borderaxespad=0.2,
        handletextpad=0.5,
        columnspacing=1.4,
        fontsize=12,
    )


def to_svg(figure: Figure, name: str, alt: str) -> Markup:
    """Inline SVG with `alt` as its accessible name; `name` keeps the ids of two pictures apart."""
    buffer = StringIO()
    prefix = "f" + sha256(name.encode()).hexdigest()[:10]  # a name may hold anything a cohort does
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'id="([^"]*)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'href="#([^"]*)"', rf'href="#{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]*)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r"font-family: [^;\"]*;?", "", text)
    text = re.sub(r"font: ([^;\"]*?)(px|pt) [^;\"]*", r"font-size: \1\2", text)
    opening = text[: text.index(">") + 1]
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', opening).group(1))  # type: ignore[union-attr]
    box = re.search(r'viewBox="[^"]*"', opening).group(0)  # type: ignore[union-attr]
    begin = f'<svg {box} role="img" aria-label="{escape(alt)}" style="max-width:{1.24 * width:.0f}px" class="figure">'
    return Markup(begin + f"<title>{escape(alt)}</title>" + text[len(opening) :])  # noqa: S704 - matplotlib escapes text
