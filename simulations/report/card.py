"""The model card inside the report: Markdown to HTML, without links, pictures or raw HTML."""

from markdown_it import MarkdownIt
from markupsafe import Markup

__all__ = ["card_html"]

LEVEL = 2  # the card's own title stands below the section's


def card_html(card: str) -> Markup:
    """`model-card.md` as HTML; every tag in it is text, and its headings are smaller than the report's."""
    reader = (
        MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "image", "autolink", "reference"])
    )
    tokens = reader.parse(card)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + LEVEL)}"
    return Markup(reader.renderer.render(tokens, reader.options, {}))  # noqa: S704 - html is off: tags are escaped
