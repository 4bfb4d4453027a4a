"""One row of an ablation table: what is changed, and what a paper reported for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["NOT_REPORTED", "Row", "System"]

NOT_REPORTED = "not reported"


@dataclass(frozen=True)
class Row:
    """One value of one axis.

    `settings` are as for `--set`; none of them = the study as it is, the reference of all differences. `{gmt}` in a
    setting is the gene file that was given. `published` holds, for each task, the figures of the paper (SEEDS.md).
    `cannot` says why the row can never run here.
    """

    axis: str
    value: str
    settings: tuple[str, ...] = ()
    published: Mapping[str, str] = field(default_factory=dict)
    cannot: str = ""

    @property
    def needs_gmt(self) -> bool:
        """Whether the row needs a gene file."""
        return any("{gmt}" in setting for setting in self.settings)


@dataclass(frozen=True)
class System:
    """One published system: its packaged study for each task, the default first, and the rows of its table."""

    title: str
    studies: Mapping[str, str]
    rows: tuple[Row, ...]
    default_axes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes, in the order of the table."""
        return tuple(dict.fromkeys(row.axis for row in self.rows))
