"""One small study and one hospital without patients."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.site import Site, read_site
from shared.study import Study, parse_study

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
    "training": {"rounds": 5},
}


@pytest.fixture
def study() -> Study:
    return parse_study(CONTENT)


@pytest.fixture
def another() -> Study:
    return parse_study({**CONTENT, "name": "another", "seed": 1})


@pytest.fixture
def make_site(tmp_path: Path) -> Callable[[str], Site]:
    """A site file A with further TOML text in it, and an empty data folder."""

    def make(text: str = "") -> Site:
        folder = tmp_path / "A"
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "site.toml").write_text(f'schema = 1\n[site]\nid = "A"\n{text}')
        return read_site(folder / "site.toml")

    return make


@pytest.fixture
def site(make_site: Callable[[str], Site]) -> Site:
    return make_site("")
