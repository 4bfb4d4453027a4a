import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import Dinov2Config, Dinov2Model

from client.prepare.encoders import build_encoder, encoder_recipe, encoder_sha256
from client.prepare.encoders.recipe import recipe_sha256
from client.prepare.encoders.table import ENCODERS, seeded
from shared.site import Site

TINY = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
TILES = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)


def site_with(path, **entry):
    compute = {"device": "cpu", "engine": "torch", "precision": "fp32", "workers": 1}
    encoders = {"uni": {"path": str(path), **entry}}
    return Site.model_validate({"schema": 1, "site": {"id": "A"}, "compute": compute, "encoders": encoders})


def recipe_of(site):
    return encoder_recipe("uni", site=site)


@pytest.fixture
def tensors(tmp_path):
    save_file(seeded(ENCODERS["resnet18"]).state_dict(), tmp_path / "uni.safetensors")
    return tmp_path / "uni.safetensors"


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    Dinov2Model(Dinov2Config(**TINY, patch_size=16, image_size=64)).save_pretrained(tmp_path / "dino")
    return tmp_path / "dino"


@pytest.mark.parametrize("change", [{"mean": (0.5, 0.5, 0.5)}, {"std": (0.5, 0.5, 0.5)}, {"architecture": "resnet34"}])
def test_every_setting_of_the_site_file_is_in_the_recipe(tensors, change):
    plain, changed = (site_with(tensors, **{"architecture": "resnet18", **more}) for more in ({}, change))
    assert recipe_of(plain) != recipe_of(changed)
    assert encoder_sha256("uni", site=plain) == encoder_sha256("uni", site=changed)


def test_writing_what_holds_anyway_changes_nothing(tensors):
    plain = site_with(tensors, architecture="resnet18")
    usual = site_with(tensors, architecture="resnet18", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert recipe_of(plain) == recipe_of(usual) != encoder_sha256("uni", site=plain)
    assert build_encoder("uni", site=plain).recipe_sha256 == recipe_of(plain)


def test_a_folders_settings_are_in_the_recipe_and_scale_its_pictures(folder):
    site = site_with(folder)
    before, plain = recipe_of(site), build_encoder("uni", site=site)
    assert plain.recipe_sha256 == before
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    halved = build_encoder("uni", site=site)
    assert halved.sha256 == plain.sha256
    assert halved.recipe_sha256 == recipe_of(site) != before
    written = build_encoder("uni", site=site_with(folder, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)))
    np.testing.assert_array_equal(halved.encode(TILES), written.encode(TILES))
    assert not np.allclose(halved.encode(TILES), plain.encode(TILES), atol=1e-3)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "vocab.txt", "spiece.model"])
def test_any_file_beside_the_weights_that_decides_features_is_in_the_recipe(tmp_path, name):
    (tmp_path / name).write_text("one")
    one = recipe_sha256("0" * 64, tmp_path)
    (tmp_path / "README.md").write_text("about the model")
    assert recipe_sha256("0" * 64, tmp_path) == one
    (tmp_path / name).write_text("two")
    assert recipe_sha256("0" * 64, tmp_path) != one
    (tmp_path / name).unlink()
    assert recipe_sha256("0" * 64, tmp_path) == recipe_sha256("0" * 64, None) != one


def test_other_weights_are_another_recipe():
    assert recipe_sha256("0" * 64, None) != recipe_sha256("1" * 64, None)
    names = ("resnet18", "resnet34")
    one, two = (encoder_recipe(name, weights="random") for name in names)
    assert one != two
    assert one == encoder_recipe("resnet18", weights="random")
