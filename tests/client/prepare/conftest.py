from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from client.prepare.encoders import Encoder, build_encoder
from client.prepare.report import PrepareReport
from shared.site import Site, read_site
from simulations.synthetic.aperio import write_aperio

MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(tmp_path: Path) -> MakeSite:
    """Write a site of the given files (name -> text) and site file sections; returns it."""

    def make(files: Mapping[str, str], sections: str = "") -> Site:
        (tmp_path / "data/slides").mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (tmp_path / "data" / name).write_text(text)
        # OpenVINO pays for thousands of tiles; compiling a network for a handful is most of a test's time
        compute = "" if "[compute]" in sections else '[compute]\nengine = "torch"\n'
        (tmp_path / "site.toml").write_text(f'schema = 1\n[site]\nid = "A"\n{sections}\n{compute}')
        return read_site(tmp_path / "site.toml")

    return make


@pytest.fixture
def report(tmp_path: Path) -> PrepareReport:
    return PrepareReport(tmp_path)


@pytest.fixture(scope="session")
def random_encoder() -> Encoder:
    return build_encoder("mobilenet_v2", weights="random")


@pytest.fixture(scope="session")
def slide_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Aperio slide of 512 x 512 px at .5 um: noisy pink tissue in the left half, glass in the right."""
    pixels = np.full((512, 512, 3), 245, dtype=np.uint8)
    noise = np.random.default_rng(0).integers(-20, 20, (512, 256, 1))
    pixels[:, :256] = (np.array([200, 120, 180]) + noise).astype(np.uint8)
    path = tmp_path_factory.mktemp("slides") / "half.svs"
    write_aperio(path, pixels, mpp=0.5, power=20, jpeg_quality=90)
    return path
