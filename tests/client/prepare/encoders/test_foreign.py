import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import Dinov2Config, Dinov2Model, ResNetConfig, ResNetModel, ViTConfig, ViTModel

from client.prepare.encoders import build_encoder, encoder_sha256
from client.prepare.encoders.table import ENCODERS, seeded
from shared.digests import sha256_file
from shared.errors import EncoderError
from shared.site import Site

TILES = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
TINY = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def site_with(path: Path, **entry: object) -> Site:
    """A site whose [encoders.uni] lies at `path`."""
    return Site.model_validate(
        {
            "schema": 1,
            "site": {"id": "A"},
            "compute": {"device": "cpu", "engine": "torch", "workers": 1, "precision": "fp32"},
            "encoders": {"uni": {"path": str(path), **entry}},
        }
    )


def pixels_of(tiles):
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return (torch.from_numpy(tiles).permute(0, 3, 1, 2) / 255 - mean) / std


class Averages(torch.nn.Module):
    """A network of 3 numbers: the mean of each channel."""

    def forward(self, pixels):
        return pixels.mean((2, 3))


@pytest.fixture
def program(tmp_path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Averages(), torch.zeros(1, 3, 8, 8)).save(tmp_path / "uni.pt")
    return tmp_path / "uni.pt"


def test_safetensors_with_a_named_architecture(tmp_path):
    save_file(seeded(ENCODERS["resnet18"]).state_dict(), tmp_path / "uni.safetensors")
    encoder = build_encoder("uni", dim=512, site=site_with(tmp_path / "uni.safetensors", architecture="resnet18"))
    assert (encoder.name, encoder.dim, encoder.sha256) == ("uni", 512, sha256_file(tmp_path / "uni.safetensors"))
    expected = build_encoder("resnet18", weights="random").encode(TILES)
    np.testing.assert_allclose(encoder.encode(TILES), expected, rtol=1e-5, atol=1e-6)


def test_a_file_without_an_architecture_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "uni.safetensors")
    with pytest.raises(EncoderError, match=r"whose architecture \[encoders.uni\] names, got none; write a torchvision"):
        build_encoder("uni", dim=512, site=site_with(tmp_path / "uni.safetensors"))
    with pytest.raises(EncoderError, match=r"got 'resnet51'; write a torchvision"):
        build_encoder("uni", dim=512, site=site_with(tmp_path / "uni.safetensors", architecture="resnet51"))


def test_another_width_than_the_studys_is_refused(tmp_path):
    save_file(seeded(ENCODERS["resnet18"]).state_dict(), tmp_path / "uni.safetensors")
    site = site_with(tmp_path / "uni.safetensors", architecture="resnet18")
    assert build_encoder("uni", site=site).dim == 512
    with pytest.raises(EncoderError, match="expected features of 1024 numbers from uni, .*, got 512; give the right"):
        build_encoder("uni", dim=1024, site=site)


def test_a_class_token_model_of_transformers(tmp_path):
    torch.manual_seed(0)
    model = Dinov2Model(Dinov2Config(**TINY, patch_size=16, image_size=64)).eval()
    model.save_pretrained(tmp_path / "dino")
    encoder = build_encoder("uni", dim=32, site=site_with(tmp_path / "dino"))
    assert encoder.sha256 == sha256_file(tmp_path / "dino/model.safetensors")
    assert encoder.sha256 == encoder_sha256("uni", dim=32, site=site_with(tmp_path / "dino"))
    with torch.no_grad():
        expected = model(pixels_of(TILES)).last_hidden_state[:, 0]
    np.testing.assert_allclose(encoder.encode(TILES), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_a_model_of_one_picture_size_gets_tiles_of_that_size(tmp_path):
    torch.manual_seed(0)
    model = ViTModel(ViTConfig(**TINY, patch_size=16, image_size=64), add_pooling_layer=False).eval()
    model.save_pretrained(tmp_path / "vit")
    encoder = build_encoder("uni", dim=32, site=site_with(tmp_path / "vit"))
    with torch.no_grad():
        expected = model(pixels_of(TILES)).last_hidden_state[:, 0]
    np.testing.assert_allclose(encoder.encode(TILES), expected.numpy(), rtol=1e-4, atol=1e-5)
    twice = TILES.repeat(2, axis=1).repeat(2, axis=2)
    assert encoder.encode(twice).shape == (3, 32)


def test_a_convolutional_model_of_transformers_gives_its_pooled_output(tmp_path):
    torch.manual_seed(0)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    model = ResNetModel(config).eval()
    model.save_pretrained(tmp_path / "resnet")
    encoder = build_encoder("uni", dim=16, site=site_with(tmp_path / "resnet"))
    with torch.no_grad():
        expected = model(pixels_of(TILES)).pooler_output.flatten(1)
    np.testing.assert_allclose(encoder.encode(TILES), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_folders_of_other_things_are_refused(tmp_path):
    with pytest.raises(EncoderError, match=r"got no file .*model.safetensors"):
        build_encoder("uni", site=site_with(tmp_path))
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(EncoderError, match=r"with config.json and model.safetensors, got another; give the folder"):
        build_encoder("uni", site=site_with(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EncoderError, match="expected model_type .transformers. or architecture .timm., got neither"):
        build_encoder("uni", site=site_with(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "unheard-of"}))
    with pytest.raises(EncoderError, match="got one that does not load .*; save it again with save_pretrained"):
        build_encoder("uni", site=site_with(tmp_path))


def test_a_program_runs_only_when_its_sha256_is_written(program):
    with pytest.raises(EncoderError, match="TorchScript program, which runs code .*; write its sha256"):
        build_encoder("uni", dim=3, site=site_with(program))
    with pytest.raises(EncoderError, match="expected the SHA-256 1{12}"):
        build_encoder("uni", dim=3, site=site_with(program, sha256="1" * 64))
    encoder = build_encoder("uni", dim=3, site=site_with(program, sha256=sha256_file(program)))
    np.testing.assert_allclose(encoder.encode(TILES), pixels_of(TILES).mean((2, 3)).numpy(), atol=1e-5)


def test_a_program_in_place_of_a_torchvision_file_is_bound_by_the_same_rule(program):
    with pytest.raises(EncoderError, match="TorchScript program, which runs code"):
        build_encoder("resnet18", file=program)


def test_a_program_that_gives_no_features_is_refused(tmp_path):
    class Sizes(torch.nn.Module):
        def forward(self, pixels):
            return {"feature": pixels.mean((2, 3))}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Sizes(), torch.zeros(1, 3, 8, 8), strict=False).save(tmp_path / "uni.pt")
    site = site_with(tmp_path / "uni.pt", sha256=sha256_file(tmp_path / "uni.pt"))
    with pytest.raises(EncoderError, match=r"expected uni to turn pictures .* into features \(1, dim\), got"):
        build_encoder("uni", site=site)


def test_timm_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    save_file({"a": torch.zeros(1)}, tmp_path / "uni.safetensors")
    with pytest.raises(EncoderError, match="expected the package timm for vit_large.*, got none; pip install"):
        build_encoder("uni", site=site_with(tmp_path / "uni.safetensors", architecture="timm:vit_large_patch16_224"))


def test_a_timm_model_with_layer_scale(tmp_path):
    timm = pytest.importorskip("timm", exc_type=ImportError)
    torch.manual_seed(0)
    name = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    model = timm.create_model(name, num_classes=4, init_values=1e-5).eval()
    save_file(model.state_dict(), tmp_path / "uni.safetensors")
    site = site_with(tmp_path / "uni.safetensors", architecture=f"timm:{name}")
    encoder = build_encoder("uni", dim=192, site=site)
    tiles = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    with torch.no_grad():
        pixels = torch.from_numpy(tiles).permute(0, 3, 1, 2) / 127.5 - 1  # those weights' own scaling
        expected = model.forward_head(model.forward_features(pixels), pre_logits=True)
    np.testing.assert_allclose(encoder.encode(tiles), expected.numpy(), rtol=1e-3, atol=1e-4)
    (tmp_path / "folder").mkdir()
    (tmp_path / "uni.safetensors").rename(tmp_path / "folder/model.safetensors")
    half = {"mean": [0.5] * 3, "std": [0.5] * 3}
    settings = {"architecture": "vit_tiny_patch16_224", "model_args": {"init_values": 1e-5}, "pretrained_cfg": half}
    (tmp_path / "folder/config.json").write_text(json.dumps(settings))
    again = build_encoder("uni", dim=192, site=site_with(tmp_path / "folder"))
    np.testing.assert_array_equal(again.encode(tiles), encoder.encode(tiles))


def test_names_that_nobody_knows_are_refused():
    with pytest.raises(EncoderError, match=r"got 'uni'; correct the name, or write \[encoders.uni\]"):
        build_encoder("uni")
    with pytest.raises(EncoderError, match="builds itself for random weights, got 'uni'; choose a torchvision"):
        encoder_sha256("uni", weights="random")
    with pytest.raises(EncoderError, match="expected dim = 512, the width of resnet18, got 1024; correct the study"):
        encoder_sha256("resnet18", weights="random", dim=1024)
