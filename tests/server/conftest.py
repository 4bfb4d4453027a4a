"""One small study, as content and as a file."""

from pathlib import Path
from typing import Any

import pytest

CONTENT: dict[str, Any] = {
    "schema": 1,
    "name": "small",
    "governance": {
        "purpose": "to test",
        "controller": "Example University Hospital",
        "contact": "office@example.org",
        "ethics_reference": "EK 1/26",
        "retention": "one day",
    },
    "task": {"kind": "classification", "column": "grade", "classes": ["G2", "G3", "G4"]},
    "model": {"architecture": "linear"},
    "modalities": {"clinical": {}},
}

STUDY = """
schema = 1
name = "small"
[governance]
purpose = "to test"
controller = "Example University Hospital"
contact = "office@example.org"
ethics_reference = "EK 1/26"
retention = "one day"
[task]
kind = "classification"
column = "grade"
classes = ["G2", "G3", "G4"]
[model]
architecture = "linear"
[modalities.clinical]
"""


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path
