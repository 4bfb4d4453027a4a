"""What a kind of synthetic cohort must say of itself; cohort.py writes any of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Job", "Kind"]


class Job(Protocol):
    """One larger file of a cohort, with everything a worker needs to write it."""

    @property
    def path(self) -> Path:
        """Where the file will lie."""

    def write(self, path: Path) -> None:
        """Write it at `path`, a temporary name; equal jobs write equal bytes."""


@dataclass(frozen=True)
class Kind:
    """One kind of cohort.

    `name` is what `--kind` takes and `cohort` what `simulations/run.py --cohort` takes; `version` is raised whenever
    equal seeds give other bytes than before. `hospitals` are those it is written for unless others are given; their
    class is the kind's own, a frozen dataclass. `begin` writes the tables into a folder and returns the larger files
    that are still to be written.
    """

    name: str
    cohort: str
    version: int
    modalities: tuple[str, ...]
    hospitals: tuple[Any, ...]
    begin: Callable[[Path, Sequence[Any], int], Sequence[Job]]
