"""Who may import ultralytics, and what is said where it is not installed."""

from pathlib import Path

import pytest

from shared.detection.networks import build_network
from shared.errors import BadInput


def test_one_package_alone_imports_ultralytics():
    sources = [path for folder in ("client", "server", "shared", "simulations") for path in Path(folder).rglob("*.py")]
    assert len(sources) > 100
    naming = {
        path.parent.as_posix()
        for path in sources
        for line in path.read_text().splitlines()
        if "ultralytics" in line and ("import_module" in line or line.split()[0] in ("import", "from"))
    }
    assert naming == {"shared/detection"}


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("shared.detection.contained.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"expected the package ultralytics .*, got none; install mmfed\[imaging\]"):
        build_network("yolov5n", 1)
