"""How sure a difference is when many are looked at: p values of the paired bootstrap, and Holm's adjustment of them."""

from collections.abc import Sequence

import numpy as np

from shared.metrics import MAIN, Kind
from shared.metrics.scored import Floats

__all__ = ["compared", "holm", "p_value"]


def compared(kind: Kind, where: str, protocol: str = "") -> tuple[str, ...]:
    """The main metrics that are compared there, the one to read first first; none counts twice.

    On own patients survival is compared within hospitals: the mean of their c-indices rests on the few hospitals that
    have deaths enough for one. With one hospital left out at a time the c-index is that within sites.
    """
    if kind == "survival" and where == "own_site_mean":
        return ("c_index_within_site",)
    return tuple(name for name in MAIN[kind] if protocol != "leave-one-site-out" or name != "c_index_within_site")


def p_value(draws: Floats) -> float | None:
    """Two-sided p of no difference: twice the smaller share of the draws (D,) on one side of 0, at least 2 / (D + 1).

    None when no draw is finite (Davison and Hinkley 1997, section 4.2, with both tails alike).
    """
    finite = draws[np.isfinite(draws)]
    if not finite.size:
        return None
    tail = min((finite <= 0).sum(), (finite >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (finite.size + 1)))


def holm(values: Sequence[float | None]) -> list[float | None]:
    """The p values adjusted for how many there are (Holm 1979): the chance of any false one stays at the level."""
    known = sorted((value, place) for place, value in enumerate(values) if value is not None)
    adjusted: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (value, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * value))
        adjusted[place] = highest
    return adjusted
