import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from client.prepare.encoders import build
from client.prepare.encoders.build import build_encoder
from client.prepare.encoders.openvino_engine import OpenVinoEngine
from client.prepare.encoders.transform import Transform
from shared.errors import EncoderError
from shared.site import Site

pytest.importorskip("openvino")

OFFLINE = """
import socket, sys

def refuse(*arguments, **named):
    raise SystemExit("opened a socket")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import numpy as np
import torch
from client.prepare.encoders.openvino_engine import OpenVinoEngine
from client.prepare.encoders.transform import Transform

engine = OpenVinoEngine(torch.nn.AdaptiveAvgPool2d(1), Transform(mean=(0, 0, 0), std=(1, 1, 1)),
                        precision="fp32", workers=1)
print(engine(np.full((1, 32, 32, 3), 51, dtype=np.uint8)).astype(float).round(3).tolist())
print([name for name in sys.modules if name.startswith("openvino_telemetry.")])
"""


@pytest.mark.slow
def test_openvino_tells_nobody_and_writes_nothing_in_the_home_folder(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path), "CI": ""}
    done = subprocess.run([sys.executable, "-c", OFFLINE], env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[[0.2, 0.2, 0.2]]", "[]"], done.stderr
    assert list(tmp_path.iterdir()) == []


class Sorted(torch.nn.Module):
    """A network with an operation that OpenVINO lacks."""

    def forward(self, pixels):
        return torch.linalg.svdvals(pixels[:, 0])


def test_an_operation_that_openvino_lacks_is_refused():
    engine = OpenVinoEngine(Sorted(), Transform(), precision="fp32", workers=1)
    with pytest.raises(EncoderError, match='network that OpenVINO can run, got one that it cannot .* engine = "torch"'):
        engine(np.zeros((1, 32, 32, 3), dtype=np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "serves"), [("auto", "torch"), ("openvino", "openvino")])
def test_torch_serves_where_openvino_cannot_and_nobody_demanded_it(engine, serves, monkeypatch):
    model = build.Model("svd", 224, "0" * 64, "1" * 64, Sorted().eval(), Transform())
    monkeypatch.setattr(build, "_load", lambda *arguments: model)
    compute = {"device": "cpu", "precision": "fp32", "engine": engine}
    site = Site.model_validate({"schema": 1, "site": {"id": "A"}, "compute": compute})
    assert build_encoder("svd", site=site).engine == serves
