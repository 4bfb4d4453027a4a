from dataclasses import replace

import pytest
import torch

from shared.cohort import MODALITIES
from shared.models.inputs import Inputs
from shared.models.s2_fusion import Options, build

from .cases import parts

BONE = Inputs(("slides", "blood", "imaging"), slides=2048, max_patches=64, blood=768, blood_text=True, imaging=2049)


def test_size_with_the_text_route():
    sizes = parts(build(BONE, 3, Options()))
    assert sizes == {
        "branches.slides": 524_544 + 65_921 + 512,
        "branches.blood": 197_376,
        "branches.imaging": 525_312,
        **{f"absent.{name}": 256 for name in BONE.modalities},
        "fusion.cls": 256,
        "fusion.first": 527_104,
        "fusion.second": 527_104,
        "fusion.norm": 512,
        "head.weight": 768,
        "head.bias": 3,
    }
    assert sum(sizes.values()) == 2_370_180


def test_size_of_gated_concat():
    sizes = parts(build(BONE, 3, Options(fusion="gated_concat")))
    assert {name: size for name, size in sizes.items() if name.startswith("fusion")} == {
        "fusion.contents": 3 * 65_792,
        "fusion.gates": 3 * 196_864,
        "fusion.project": 196_864,
    }


def test_numbers_of_blood_enter_beside_their_mask():
    model = build(replace(BONE, blood=22, blood_text=False), 3, Options())
    assert model.branches["blood"].encoder[0].in_features == 44


@pytest.mark.parametrize(
    "options",
    [Options(dim=8, heads=2), Options(dim=8, heads=2, fusion="gated_concat"), Options(dim=8, heads=2, absent="mask")],
)
def test_attention_over_modalities_is_that_over_what_is_present(options, inputs_of, batch_of):
    inputs = inputs_of(MODALITIES)
    model = build(inputs, 3, options).eval()
    present = torch.ones(4, 5)
    present[1, 2:] = 0
    weights = model(replace(batch_of(inputs), present=present))["attention"]["modalities"]
    assert weights[1, 2:].tolist() == [0.0] * 3
    assert weights[1, :2].min() > 0
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4))


def test_a_hidden_modality_has_no_token_and_changes_nothing(inputs_of, batch_of):
    inputs = inputs_of(("slides", "blood"))
    model = build(inputs, 3, Options(dim=8, heads=2, absent="mask")).eval()
    assert not [name for name in model.state_dict() if name.startswith("absent")]
    batch = replace(batch_of(inputs), present=torch.tensor([[1.0, 0.0]]).expand(4, 2))
    before = model(batch)["logits"]
    with torch.no_grad():
        for weight in model.branches["blood"].parameters():
            weight.add_(1.0)
    torch.testing.assert_close(model(batch)["logits"], before, rtol=0, atol=0)


def test_hiding_needs_the_transformer():
    with pytest.raises(ValueError, match='expected absent = "token" with gated_concat, got "mask"; write fusion'):
        Options(fusion="gated_concat", absent="mask")
