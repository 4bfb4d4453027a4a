"""One reason why a training would not keep the privacy it promises."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Fault", "listed"]

SHOWN = 4
"""Names that one fault lists."""


@dataclass(frozen=True)
class Fault:
    """A code of PRIVACY.md section 10, what was found, why that breaks the promise, and what to do instead."""

    code: str  # DP001 ... DP021
    found: str
    why: str
    fix: str

    def __str__(self) -> str:
        return f"{self.code}: found {self.found}; {self.why}; {self.fix}"


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
