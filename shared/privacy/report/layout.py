"""The parts of a report page, before they become HTML or PDF: both are made from the same ones, in the same order."""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Bar",
    "Bars",
    "Block",
    "Bullets",
    "Facts",
    "Grid",
    "Layout",
    "Part",
    "Statuses",
    "Text",
    "Tile",
    "Tiles",
    "Tone",
]

Tone = Literal["good", "used", "bad", "broken"]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: Literal["body", "lead", "small", "heading"] = "body"


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]
    small: bool = False


@dataclass(frozen=True)
class Facts:
    """Names and their values; `mono` sets the values in a typewriter face, as hashes need it."""

    rows: tuple[tuple[str, str], ...]
    mono: bool = False


@dataclass(frozen=True)
class Grid:
    """A table. `widths` are shares of the whole width; `right` names the columns of figures."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...]
    right: frozenset[int] = frozenset()
    small: bool = False


@dataclass(frozen=True)
class Statuses:
    """What was sent or not: (what, status, approver or "", note, whether nothing limits it)."""

    rows: tuple[tuple[str, str, str, str, bool], ...]


@dataclass(frozen=True)
class Tile:
    """A large figure."""

    value: str
    label: str
    note: str = ""

    @property
    def figure(self) -> bool:
        """Whether `value` is a number, and not words, which need more room."""
        return not any(letter.isalpha() for letter in self.value)


@dataclass(frozen=True)
class Tiles:
    """Large figures side by side."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Bar:
    """How much of the limit is used; `share` None fills the bar, since there is no bound."""

    label: str
    share: float | None  # 0 to 1
    text: str


@dataclass(frozen=True)
class Bars:
    """Bars under one another."""

    caption: str
    bars: tuple[Bar, ...]


Part = Text | Bullets | Facts | Grid | Statuses | Tiles | Bars


@dataclass(frozen=True)
class Block:
    """One of the blocks A to J."""

    letter: str
    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Layout:
    """A whole report: page 1, page 2 in two columns, and the rest."""

    kicker: str
    title: str
    subtitle: str
    word: str
    tone: Tone
    first: tuple[Block, ...]
    left: Block
    right: Block
    rest: tuple[Block, ...]
    footer: str
    stamp: str  # site and time, of letters that are safe anywhere
