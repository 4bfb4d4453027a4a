"""Finished points of a curve, one file each, so that none is trained twice."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from server.checkpoint import write_atomically
from simulations.scores import Measured

__all__ = ["Point", "read_point", "write_point"]


@dataclass(frozen=True)
class Point:
    """One training: what was measured, where; nothing where it failed, and `facts` say why."""

    measured: Mapping[str, Measured]
    facts: dict[str, Any]


def write_point(path: Path, point: Point) -> None:
    """Keep a point as arrays and one line of JSON."""
    about = {
        where: {"reasons": dict(m.reasons), "n": m.n, "events": m.events, "metrics": list(m.point)}
        for where, m in point.measured.items()
    }
    arrays = {"about": np.array(json.dumps({"facts": point.facts, "measured": about}))}
    for where, m in point.measured.items():
        for name in m.point:
            arrays |= {f"{where}/{name}/point": m.point[name], f"{where}/{name}/draws": m.draws[name]}
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())


def read_point(path: Path) -> Point | None:
    """A point that was kept; None if there is none, or a damaged one, which is then trained again."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            measured = {
                where: Measured(
                    {name: arrays[f"{where}/{name}/point"] for name in facts["metrics"]},
                    {name: arrays[f"{where}/{name}/draws"] for name in facts["metrics"]},
                    facts["reasons"],
                    facts["n"],
                    facts["events"],
                )
                for where, facts in about["measured"].items()
            }
    except (OSError, ValueError, KeyError):
        return None
    return Point(measured, about["facts"])
