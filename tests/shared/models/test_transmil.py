from dataclasses import replace

import pytest
import torch

from shared.models.inputs import Inputs
from shared.models.transmil import Options, build

from .cases import parts

SMALL = Options(dim=8, heads=2)


def test_size():
    sizes = parts(build(Inputs(("slides",), slides=1024, max_patches=200), 2, Options()), depth=1)
    assert sizes == {
        "branches": 524_800,
        "cls": 512,
        "before": 1_051_648,
        "position": 44_032,
        "after": 1_051_648,
        "norm": 1024,
        "head": 1026,
    }
    assert sum(sizes.values()) == 2_674_690


@pytest.mark.parametrize(("most", "side"), [(1, 1), (2, 2), (4, 2), (5, 3), (200, 15), (1024, 32)])
def test_the_side_of_the_square_follows_from_max_patches(most, side):
    assert build(Inputs(("slides",), slides=5, max_patches=most), 3, SMALL).side == side


def test_only_real_patches_fill_the_square(inputs_of):
    model = build(inputs_of(("slides",)), 3, SMALL)
    mask = torch.tensor([[False, True, False, True], [True, True, True, True], [False] * 4])
    assert model._places(mask).tolist() == [
        [1, 3, 1, 3, 1, 3, 1, 3, 1],
        [0, 1, 2, 3, 0, 1, 2, 3, 0],
        [0] * 9,
    ]


def test_the_place_of_a_patch_matters(inputs_of, batch_of):
    inputs = inputs_of(("slides",))
    model = build(inputs, 3, SMALL).eval()
    batch = replace(batch_of(inputs), slides_mask=torch.ones(4, 6, dtype=torch.bool))
    turned = replace(batch, slides=batch.slides.flip(1))
    assert (model(turned)["logits"] - model(batch)["logits"]).abs().amax(dim=1).min() > 1e-4


def test_the_attention_of_a_repeated_patch_adds_up(inputs_of, batch_of):
    inputs = inputs_of(("slides",))
    model = build(inputs, 3, SMALL).eval()
    batch = batch_of(inputs, rows=1)
    batch = replace(batch, slides_mask=torch.tensor([[True, False, False, False, False, False]]))
    assert model(batch)["attention"]["slides"].tolist() == [[1.0, 0, 0, 0, 0, 0]]
