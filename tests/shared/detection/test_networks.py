"""Networks by name, wherever ultralytics is installed."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from shared.detection.networks import build_network

SCRIPT = """
from shared.detection.networks import build_network
print(sum(p.numel() for p in build_network("yolov5n", 1).parameters()))
"""


@pytest.mark.parametrize("architecture", ["yolov5n", "yolov5s", "yolo11n"])
def test_the_scale_is_that_of_the_name(architecture: str) -> None:
    network = build_network(architecture, classes=1)
    assert network.yaml["scale"] == architecture[-1]
    assert Path(network.yaml["yaml_file"]).name == f"{architecture}.yaml"


@pytest.mark.slow
def test_a_folder_on_the_way_may_look_like_a_scale(tmp_path: Path) -> None:
    spec = find_spec("ultralytics")
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(Path(spec.origin).parent, tmp_path / "nn6sI4" / "ultralytics")
    paths = [str(tmp_path / "nn6sI4"), str(Path(__file__).parents[3])]
    code = f"import sys; sys.path[:0] = {paths!r}\n{SCRIPT}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    expected = sum(p.numel() for p in build_network("yolov5n", 1).parameters())
    assert int(done.stdout.splitlines()[-1]) == expected
