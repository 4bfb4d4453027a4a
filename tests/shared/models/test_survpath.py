from dataclasses import replace

import pytest
import torch

from shared.models.inputs import Inputs
from shared.models.survpath import Options, PathwayAttention, build

from .cases import parts

PATHWAYS = tuple(tuple(range(i, i + 10)) for i in range(331))


@pytest.mark.parametrize(("shared", "second"), [(True, 65_792), (False, 331 * 65_792)])
def test_size_with_331_pathways_of_ten_genes(shared, second):
    inputs = Inputs(("slides", "expression"), slides=1024, genes=340, groups=PATHWAYS)
    with torch.device("meta"):
        model = build(inputs, 4, Options(shared_second=shared))
    sizes = parts(model, depth=1)
    assert sizes == {
        "branches": 262_400 + 331 * 11 * 256 + second,
        "attention": 512 + 3 * 32_896,
        "feed": 2 * 16_512 + 256,
        "project": 16_448,
        "head": 260,
    }
    assert len(list(model.parameters())) < 30  # and not 331 gradients


def test_patches_do_not_look_at_patches():
    torch.manual_seed(0)
    attention = PathwayAttention(8)
    tokens, mask = torch.randn(1, 5, 8), torch.ones(1, 5, dtype=torch.bool)
    before = attention(tokens, mask, 2)[0]
    moved = tokens.clone()
    moved[0, 4] = torch.randn(8)
    change = (attention(moved, mask, 2)[0] - before).abs().amax(dim=2)[0] > 1e-6
    assert change.tolist() == [True, True, False, False, True]  # pathways see it, the other patches do not


@pytest.mark.parametrize("left", ["slides", "expression"])
def test_one_modality_still_tells_patients_apart(left, inputs_of, batch_of):
    inputs = inputs_of(("slides", "expression"))
    torch.manual_seed(0)
    model = build(inputs, 3, Options(dim=32)).eval()
    present = torch.tensor([[1.0, 0.0] if left == "slides" else [0.0, 1.0]]).expand(4, 2)
    logits = model(replace(batch_of(inputs), present=present))["logits"]
    assert (logits[1:] - logits[:1]).abs().amax(dim=1).min() > 1e-4
