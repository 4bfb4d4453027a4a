import json
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from client.prepare.encoders.scaling import IMAGENET, UNSCALED, scaling
from shared.errors import EncoderError
from shared.site import EncoderFile

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
HALF = (0.5, 0.5, 0.5)
BARE, TAGGED = "timm:vit_large_patch16_224", "timm:vit_large_patch16_224.augreg"


def entry(path: Path, **written: object) -> EncoderFile:
    return EncoderFile.model_validate({"path": str(path), **written})


@pytest.fixture
def folder(tmp_path: Path):
    """Write a model's folder with these settings; returns it."""

    def write(config: object, preprocessor: object = None) -> Path:
        (tmp_path / "config.json").write_text(json.dumps(config))
        if preprocessor is not None:
            (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
        return tmp_path

    return write


@pytest.fixture
def timm(monkeypatch):
    """Stand in for timm, which no extra installs: its table as of 1.0.31, two lines of it."""

    def get_pretrained_cfg(architecture: str) -> SimpleNamespace | None:
        if architecture.endswith(".nonesuch"):
            raise RuntimeError("Invalid pretrained tag")
        known = {
            "vit_large_patch16_224": SimpleNamespace(mean=HALF, std=HALF, tag="augreg"),
            "vit_large_patch16_224.augreg": SimpleNamespace(mean=HALF, std=HALF, tag="augreg"),
            "resnet50": SimpleNamespace(mean=IMAGENET[0], std=IMAGENET[1], tag="a1_in1k"),
        }
        return known.get(architecture)

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(get_pretrained_cfg=get_pretrained_cfg))


def test_what_the_site_file_writes_goes_first(folder):
    path = folder({"model_type": "vit"}, {"image_mean": HALF, "image_std": HALF})
    assert scaling("uni", path, entry(path, mean=MEAN, std=STD)) == (MEAN, STD)
    assert scaling("uni", path, entry(path, mean=MEAN)) == (MEAN, HALF)
    assert scaling("uni", path, entry(path, std=STD)) == (HALF, STD)
    assert scaling("resnet18", path / "w.pth", entry(path / "w.pth", std=STD)) == (IMAGENET[0], STD)


@pytest.mark.parametrize(
    ("config", "preprocessor", "found"),
    [
        ({"model_type": "vit"}, {"image_mean": MEAN, "image_std": STD}, (MEAN, STD)),
        ({"model_type": "vit"}, {"do_normalize": True}, IMAGENET),
        ({"model_type": "vit"}, {"do_normalize": False, "image_mean": MEAN, "image_std": STD}, UNSCALED),
        ({"model_type": "vit"}, None, IMAGENET),
        ({"architecture": "resnet50", "pretrained_cfg": {"mean": MEAN, "std": STD}}, None, (MEAN, STD)),
        ({"architecture": "resnet50", "mean": MEAN, "std": STD}, None, (MEAN, STD)),
    ],
)
def test_then_what_a_folder_says_of_its_model(folder, config, preprocessor, found):
    path = folder(config, preprocessor)
    assert scaling("uni", path, entry(path)) == found


@pytest.mark.usefixtures("timm")
def test_then_timms_own_table_where_a_tag_says_whose_weights_they_are(folder, tmp_path):
    file = tmp_path / "uni.safetensors"
    assert scaling("uni", file, entry(file, architecture=TAGGED)) == (HALF, HALF)
    assert scaling("uni", file, entry(file, architecture="timm:resnet50")) == IMAGENET
    assert scaling("uni", file, entry(file, architecture="timm:unknown.nonesuch")) == IMAGENET
    assert scaling("uni", file, entry(file, architecture="timm:unknown")) == IMAGENET
    path = folder({"architecture": "vit_large_patch16_224.augreg"})
    assert scaling("uni", path, entry(path)) == (HALF, HALF)


@pytest.mark.usefixtures("timm")
def test_a_name_of_several_weights_needs_mean_and_std(tmp_path):
    """UNI and timm's own weights have one architecture and are scaled differently: a guess would spoil one of them."""
    file = tmp_path / "uni.safetensors"
    match = r"expected mean and std in \[encoders.uni\], .* got none; write .* vit_large_patch16_224.augreg$"
    with pytest.raises(EncoderError, match=match):
        scaling("uni", file, entry(file, architecture=BARE))
    assert scaling("uni", file, entry(file, architecture=BARE, mean=MEAN, std=STD)) == (MEAN, STD)


def test_files_that_need_no_timm_do_not_ask_for_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(torch.nn.Identity(), torch.zeros(1)).save(tmp_path / "uni.pt")
    assert scaling("uni", tmp_path / "uni.pt", entry(tmp_path / "uni.pt", architecture=BARE)) == IMAGENET
    assert scaling("resnet18", tmp_path / "w.pth", entry(tmp_path / "w.pth", architecture=BARE)) == IMAGENET
    assert scaling("uni", tmp_path / "w", entry(tmp_path / "w", architecture="resnet18")) == IMAGENET
    with pytest.raises(EncoderError, match="expected the package timm for vit_large.*, got none; pip install"):
        scaling("uni", tmp_path / "w", entry(tmp_path / "w", architecture=BARE))


@pytest.mark.parametrize(
    "preprocessor",
    [
        {"image_mean": HALF},
        {"image_mean": [0.5], "image_std": HALF},
        {"image_mean": HALF, "image_std": [0.5, 0.5, 0]},
        {"image_mean": HALF, "image_std": [0.5, 0.5, "x"]},
        {"image_mean": [float("nan")] * 3, "image_std": HALF},
    ],
)
def test_settings_that_cannot_be_are_refused(folder, preprocessor):
    path = folder({"model_type": "vit"}, preprocessor)
    with pytest.raises(EncoderError, match="expected three numbers each for image_mean and image_std, .* got others"):
        scaling("uni", path, entry(path))


def test_settings_that_are_no_json_are_refused(folder):
    path = folder({"model_type": "vit"}, [])
    with pytest.raises(EncoderError, match=r"preprocessor_config.json: expected settings in JSON, got another file"):
        scaling("uni", path, entry(path))
    (path / "config.json").write_text("{")
    with pytest.raises(EncoderError, match="expected the folder of a model with config.json and model.safetensors"):
        scaling("uni", path, entry(path))
