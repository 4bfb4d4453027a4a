"""Curves that are there already, for a report that shows them."""

import json
from pathlib import Path
from typing import Any

from shared.errors import BadInput
from shared.study import Study
from simulations.adapt import override
from simulations.stresses.options import SETTINGS

__all__ = ["FILE", "of_study", "read_stress"]

FILE = "stress.json"
NEEDED = ("study", "cohort", "metric", "seeds", "rounds", "curves", "notes", "command")


def read_stress(folder: Path) -> dict[str, Any]:
    """What `python simulations/stress.py` wrote into `folder`; BadInput where it is no such folder."""
    path = folder / FILE
    what = f"--stress: expected a folder of simulations/stress.py with {FILE}, got"
    if not path.is_file():
        got = "a folder without" if folder.is_dir() else "no folder:"
        raise BadInput(
            f"{what} {got} {folder if got.endswith(':') else f'it ({folder})'}; name one that it has finished"
        )
    try:
        content = json.loads(path.read_bytes())
    except ValueError as exc:
        raise BadInput(f"{what} a damaged one ({path}); run simulations/stress.py with --out {folder} again") from exc
    lacking = [key for key in NEEDED if not isinstance(content, dict) or key not in content]
    if lacking:
        raise BadInput(f"{what} one without {', '.join(lacking)} ({path}); run it again with this version")
    found: dict[str, Any] = content
    return found


def of_study(content: dict[str, Any], study: Study) -> bool:
    """Whether the curves are of `study`, whatever its protocol: stress.py holds test patients out at every hospital."""
    stressed = override(study, ('split.protocol="holdout"', *SETTINGS))
    return bool(content["study"]["digest"] == stressed.digest)
