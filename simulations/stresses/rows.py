"""One row of a curve: what was measured at one dose, over all seeds, and how far it is from dose 0."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from simulations.averages import average, difference
from simulations.stresses.curve import Line
from simulations.stresses.points import Point

__all__ = ["row_of"]


def row_of(line: Line, dose: float, points: Sequence[Point], untouched: Sequence[Point], metric: str) -> dict[str, Any]:
    """The row of one line and dose.

    Parameters
    ----------
    points, untouched
        One point a seed, at this dose and at dose 0. A row has values only when no seed failed, and only of places
        that every seed has; `failed` holds a line for every reason, `failed_seeds` counts the seeds.
    """
    failures = [point.facts["failed"] for point in points if "failed" in point.facts]
    places = [where for where in points[0].measured if all(where in point.measured for point in points)]
    values, change = {}, {}
    for where in places if not failures else ():
        repeats = [[point.measured[where]] for point in points]
        values[where] = {name: value.to_json() for name, value in average(repeats).items()}
        if dose and all(where in point.measured for point in untouched):
            found = difference(repeats, [[point.measured[where]] for point in untouched], metric)
            change[where] = found.__dict__ if found else None
    missing: Counter[str] = Counter()
    for point in points:
        missing.update(point.facts.get("missing", {}))
    signatures = [point.facts["signature"]["auc"] for point in points if point.facts.get("signature")]
    return {
        "line": line.name,
        "dose": dose,
        "values": values,
        "change": change,
        "failed": "\n".join(sorted(set(failures))) or None,
        "failed_seeds": len(failures),
        "missing": dict(sorted(missing.items())),
        "prepare": _said(points),
        "signature": float(np.mean(signatures)) if signatures else None,
        "training": [point.facts.get("training") for point in points],
    }


def _said(points: Sequence[Point]) -> list[dict[str, Any]]:
    """What `prepare` left out, over all seeds; `inputs` are those of all of them."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for point in points:
        for row in point.facts.get("prepare", []):
            known = found.setdefault((row["file"], row["reason"]), {**row, "hospitals": [], "inputs": 0})
            known["hospitals"] = sorted({*known["hospitals"], *row["hospitals"]})
            known["inputs"] += row["inputs"]
    return list(found.values())
