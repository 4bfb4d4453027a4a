"""Curves that are there already, for a report that shows them."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from shared.errors import BadInput
from shared.study import Study
from simulations.adapt import override
from simulations.stresses.options import SETTINGS
from simulations.stresses.page import stress_words
from simulations.stresses.runner import SCHEMA, STRESS_FILE

__all__ = ["STRESS_FILE", "of_study", "read_stress", "stress_part"]

EXPECTED = "--stress: expected a folder that simulations/stress.py has finished"
AGAIN = "run simulations/stress.py with this version again"


def read_stress(folder: Path) -> dict[str, Any]:
    """What `python simulations/stress.py` wrote into `folder`; BadInput where it is no such folder."""
    path = folder / STRESS_FILE
    if not folder.is_dir():
        raise BadInput(f"{EXPECTED}, got {folder}, which is no folder; check the path")
    if not path.is_file():
        raise BadInput(f"{EXPECTED}, got {folder} without {STRESS_FILE}; finish it by stress.py --out {folder}")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as exc:
        raise BadInput(f"{EXPECTED}, got a damaged {path}; {AGAIN}") from exc
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise BadInput(f"{EXPECTED}, got {path} of schema {schema!r} instead of {SCHEMA}; {AGAIN}")
    found: dict[str, Any] = content
    return found


def stress_part(content: dict[str, Any], study: Study, cohort: str, said: Collection[str]) -> dict[str, Any]:
    """The curves as the report of a run of `study` on `cohort` shows them; BadInput where something is missing.

    `said` are notes that stand elsewhere in the report.
    """
    try:
        same = of_study(content, study) and _place(content["cohort"]["name"]) == _place(cohort)
        return stress_words(content, same=same, said=said)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as exc:
        raise BadInput(f"{EXPECTED}, got a damaged {STRESS_FILE} ({exc!r}); {AGAIN}") from exc


def of_study(content: dict[str, Any], study: Study) -> bool:
    """Whether the curves are of `study`, whatever its protocol and folds: stress.py holds test patients out everywhere.

    Another seed or test fraction is another study.
    """
    stressed = override(study, ("split.folds=5", *SETTINGS))
    return bool(content["study"]["digest"] == stressed.digest)


def _place(cohort: str) -> str:
    """A folder is the same under every spelling of its path; a packaged cohort has a name."""
    return str(Path(cohort).resolve()) if Path(cohort).is_dir() else cohort
