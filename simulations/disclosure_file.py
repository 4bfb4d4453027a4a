"""The file of a cohort folder that says what its hospitals let leave: what becomes [disclosure] of every site file.

A cohort of public data may let hospitals take part that in a deployment would be too small.
"""

import json
from pathlib import Path

from shared.documents import read_toml
from shared.errors import CohortError
from shared.site import Disclosure

__all__ = ["DISCLOSURE_FILE", "disclosure_notes", "disclosure_of", "disclosure_toml"]

DISCLOSURE_FILE = "disclosure.toml"
"""Of a cohort folder."""


def disclosure_of(cohort: Path) -> Disclosure | None:
    """What the cohort's file says; None without it. CohortError lists every fault of the file."""
    path = cohort / DISCLOSURE_FILE
    return read_toml(path, Disclosure, CohortError) if path.is_file() else None


def disclosure_toml(disclosure: Disclosure) -> str:
    """The lines of the file, and of a site file's section [disclosure]."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in disclosure.model_dump().items())


def disclosure_notes(cohort: Path) -> list[str]:
    """A sentence for the report when the cohort's hospitals tell more than others do; none when they do not."""
    stated, usual = disclosure_of(cohort), Disclosure().min_patients
    if stated is None or stated.min_patients >= usual:
        return []
    return [
        f"Every site file of this cohort says min_patients = {stated.min_patients}, as its {DISCLOSURE_FILE} asks; "
        f"a hospital's own rule is {usual}, so that smaller hospitals take part here than would in a deployment."
    ]
