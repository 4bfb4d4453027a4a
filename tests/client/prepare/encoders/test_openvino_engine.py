import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from client.prepare.encoders import build
from client.prepare.encoders.build import build_encoder
from client.prepare.encoders.openvino_engine import Converted, OpenVinoEngine, import_openvino
from client.prepare.encoders.plan import plan_compute
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
from client.prepare.encoders.openvino_engine import Converted, OpenVinoEngine, import_openvino
from client.prepare.encoders.plan import plan_compute
from client.prepare.encoders.transform import Transform

network = Converted(torch.nn.AdaptiveAvgPool2d(1), Transform(mean=(0, 0, 0), std=(1, 1, 1)))
engine = OpenVinoEngine(network, precision="fp32", workers=1)
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
    engine = OpenVinoEngine(Converted(Sorted(), Transform()), precision="fp32", workers=1)
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


@pytest.mark.slow
def test_all_precisions_of_an_encoder_share_one_conversion(monkeypatch):
    """It takes seconds, and its trace is never freed: a simulation would pay for every hospital."""
    converted, convert = [], import_openvino().convert_model
    monkeypatch.setattr(
        import_openvino(), "convert_model", lambda *given, **named: converted.append(1) or convert(*given, **named)
    )
    compute = {"device": "cpu", "precision": "fp32", "engine": "openvino"}
    site = Site.model_validate({"schema": 1, "site": {"id": "A"}, "compute": compute})
    model = build._load("squeezenet1_1", "random", None, 0, site)
    twins = [build._assemble(model, replace(plan_compute(site.compute), precision=name)) for name in ("bf16", "fp32")]
    tiles = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    half, full = (twin.encode(tiles) for twin in (twins[0], twins[0].in_fp32()))
    assert len(converted) == 1
    np.testing.assert_array_equal(full, twins[1].encode(tiles))
    assert len(converted) == 1
    np.testing.assert_allclose(half, full, atol=0.1 * np.abs(full).max())
