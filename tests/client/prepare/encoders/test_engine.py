import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openslide
import pytest

from client.prepare.encoders import build_encoder, encoder_recipe, encoder_sha256, weights
from client.prepare.encoders.engine import Encoder
from client.prepare.encoders.fidelity import is_faithful
from client.prepare.encoders.plan import Plan
from shared.errors import EncoderError
from shared.site import Site

TILES = np.random.default_rng(0).integers(0, 256, (11, 64, 64, 3), dtype=np.uint8)
SLIDES = sorted(Path("../shared/data/slides").glob("*.svs"))
needs_weights = pytest.mark.skipif(weights._deep_sort_file() is None, reason="the extra `offline` is not installed")
needs_slides = pytest.mark.skipif(not SLIDES, reason="no slides beside the project")


def site_of(**compute: object) -> Site:
    return Site.model_validate({"schema": 1, "site": {"id": "A"}, "compute": {"device": "cpu", **compute}})


@pytest.fixture(scope="module", params=["torch", pytest.param("openvino", marks=pytest.mark.slow)])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    if request.param == "openvino":
        pytest.importorskip("openvino")
    return build_encoder("resnet18", weights="random", site=site_of(engine=request.param, precision="fp32"))


@pytest.fixture(scope="module")
def real_tiles() -> np.ndarray:
    """Four tiles of each real slide, from its darker parts, which are tissue."""
    tiles = []
    for path in SLIDES:
        with openslide.OpenSlide(path) as slide:
            width, height = slide.dimensions
            corners = [(x, y) for y in range(0, height - 223, 448) for x in range(0, width - 223, 448)]
            pictures = [np.asarray(slide.read_region(at, 0, (224, 224)).convert("RGB")) for at in corners]
        tiles += sorted(pictures, key=lambda picture: picture.mean())[:4]
    return np.stack(tiles)


def test_an_encoder_says_what_it_is(encoder):
    assert (encoder.name, encoder.dim, encoder.precision, encoder.batch) == ("resnet18:random", 512, "fp32", 4)
    assert encoder.workers == 2
    assert encoder.sha256 == encoder_sha256("resnet18", weights="random")
    assert encoder.recipe_sha256 == encoder_recipe("resnet18", weights="random")
    assert encoder.verified(TILES) is encoder
    assert encoder.fidelity == {}


def test_a_feature_depends_on_its_tile_only(encoder):
    """Bit for bit: not on its neighbours, its place, or how many there are."""
    features = encoder.encode(TILES)
    assert (features.shape, features.dtype) == ((11, 512), np.float32)
    assert features.std(axis=0).max() > 0
    np.testing.assert_array_equal(encoder.encode(TILES[::-1])[::-1], features)
    np.testing.assert_array_equal(encoder.encode(TILES[4:5])[0], features[4])
    assert encoder.encode(TILES[:0]).shape == (0, 512)


def test_a_feature_does_not_depend_on_what_else_runs(encoder):
    alone = encoder.encode(TILES[:8])
    ready = threading.Barrier(3)

    def work(start):
        ready.wait()
        return [encoder.encode(np.roll(TILES, start + i, axis=0)[:8]) for i in range(3)]

    with ThreadPoolExecutor(3) as pool:
        rolled = list(pool.map(work, range(3)))
    np.testing.assert_array_equal(rolled[0][0], alone)
    np.testing.assert_array_equal(rolled[2][0], rolled[1][1])
    np.testing.assert_array_equal(rolled[2][1], rolled[1][2])


def test_two_builds_are_equal_bit_for_bit(encoder):
    again = build_encoder("resnet18", weights="random", site=site_of(engine=encoder.engine, precision="fp32"))
    np.testing.assert_array_equal(again.encode(TILES[:2]), encoder.encode(TILES[:2]))


def test_an_encoder_takes_tiles_of_several_sizes(encoder):
    assert encoder.encode(np.zeros((1, 96, 80, 3), dtype=np.uint8)).shape == (1, 512)


def test_the_engines_agree_with_the_reference(encoder):
    reference = build_encoder("resnet18", weights="random").encode(TILES)
    np.testing.assert_allclose(encoder.encode(TILES), reference, rtol=1e-3, atol=1e-5)


def test_bf16_features_too_depend_on_their_tile_only():
    rough = build_encoder("resnet18", weights="random", site=site_of(engine="torch", precision="bf16"))
    features = rough.encode(TILES[:3])
    np.testing.assert_array_equal(rough.encode(TILES[2::-1])[::-1], features)
    exact = build_encoder("resnet18", weights="random").encode(TILES[:3])
    assert 1e-4 < np.abs(features - exact).max() / np.abs(exact).max() < 0.05


@pytest.mark.slow
@needs_slides
def test_bf16_is_close_to_fp32_on_real_tiles_and_says_how_close(real_tiles):
    rough = build_encoder("resnet18", weights="random", site=site_of(engine="torch", precision="bf16"))
    assert (rough.precision, rough.fidelity) == ("bf16", {})
    encoder = rough.verified(real_tiles)
    assert encoder.precision == "bf16"
    assert is_faithful(encoder.fidelity)
    assert encoder.fidelity["bf16_median_relative_l2"] > 1e-4  # it is bf16
    assert encoder.verified(real_tiles) is encoder


@pytest.mark.slow
@needs_slides
@needs_weights
def test_mobilenet_is_too_fine_for_bf16(real_tiles):
    demanded = build_encoder("mobilenet_v2", site=site_of(engine="torch", precision="bf16"))
    with pytest.raises(EncoderError, match='expected bf16 features of mobilenet_v2 .*; write precision = "auto" or'):
        demanded.verified(real_tiles)


def fake(name, plan, feature):
    return Encoder(name, 2, "0" * 64, "1" * 64, plan, lambda tiles: np.tile(np.float32(feature), (len(tiles), 1)))


def test_bf16_that_nobody_demanded_gives_way_to_fp32():
    exact = fake("e", Plan(), (1, 0))
    off = fake("e", Plan(precision="bf16"), (1, 0.1))
    chosen = Encoder(**{**vars(off), "in_fp32": lambda: exact}).verified(TILES)
    assert (chosen.precision, chosen.fidelity) == ("fp32", {})
    assert "got 0.99504 and 0.1000; fp32 is used" in chosen.note
    np.testing.assert_array_equal(chosen.encode(TILES[:1]), [[1, 0]])


def test_without_tiles_nothing_is_known_yet():
    encoder = build_encoder("resnet18", weights="random", site=site_of(engine="torch", precision="bf16"))
    assert encoder.verified(TILES[:0]) is encoder
