from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from shared.cohort import MODALITIES
from shared.errors import StudyError
from shared.models import resolve_options
from shared.models.attention import MultiHeadAttention
from shared.models.inputs import Inputs
from shared.models.prototypes import Clustering
from shared.models.umeml import PRESETS, Options, build
from shared.study import parse_study

from . import cases
from .cases import BOTH, UNION, mcat6, mixed

SMALL = cases.SMALL["umeml"]


def published(features=512, outputs=4, aux=0, **options) -> torch.nn.Module:
    """The model at the sizes of the specification, without memory for its weights."""
    with torch.device("meta"):
        return build(mcat6(slides=features, aux=aux), outputs, Options(**options))


def parameters(model: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize(
    ("features", "outputs", "size"),
    [(512, 4, 4_083_460), (512, 6, 4_083_974), (1024, 4, 4_214_532), (2048, 4, 4_476_676)],
)
def test_size_is_that_of_the_specification(features, outputs, size):
    assert parameters(published(features, outputs)) == size


def test_size_of_every_part():
    model = published()
    slides, genes = model.branches["slides"], model.branches["expression"]
    parts = {
        "path_net": slides.net,
        "prototypes": slides.gather.tokens,
        "clustering": slides.gather.layers,
        "path cls": slides.cls,
        "path_enc": slides.encoder,
        "groups": genes.groups,
        "global": genes.whole,
        "omic cls": genes.cls,
        "omic_enc": genes.encoder,
        "absent": model.absent,
        "registers": model.registers,
        "decoder": model.decoder,
        "fuse": model.readout.fuse,
        "head": model.readout.head,
    }
    sizes = [131_328, 1_280, 527_360, 256, 264_192, 860_160, 780_288, 256, 791_552, 512, 768, 527_360, 197_120, 1_028]
    assert {name: parameters(part) for name, part in parts.items()} == dict(zip(parts, sizes, strict=True))
    assert sum(sizes) == parameters(model)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"prototypes": 16}, 4_083_460 + 11 * 256),
        ({"prototypes": 0}, 4_083_460 - 1_280 - 527_360 + 65_921),
        ({"registers": 8}, 4_083_460 + 5 * 256),
        ({"decoder": False}, 4_083_460 - 527_360 - 768),
        ({"absent": "mask"}, 4_083_460 - 512),
        ({"fuse": "gated_bilinear"}, 4_083_460 - 197_120 + 413_120),
        ({"fuse": "late"}, 4_083_460 - 197_120 + 2 * 65_792 + 1_028),
        ({"grouping": "chunks"}, 4_083_460 - 860_160 + UNION * 256 + 6 * 256),
        ({"modularity": "off"}, 4_083_460),
    ],
)
def test_size_of_the_ablations(options, size):
    assert parameters(published(**options)) == size


def test_the_preset_for_private_training_is_small():
    panels = tuple(tuple(range(16 * i, 16 * i + 16)) for i in range(6))
    model = build(Inputs(BOTH, slides=1024, genes=96, groups=panels), 4, Options(**PRESETS["dp_small"]))
    assert parameters(model) == 77_252


def test_mutations_join_the_global_token():
    assert parameters(published(aux=40)) == 4_083_460 + 40 * 256


def test_clustering_is_attention_with_the_values_projected_last():
    torch.manual_seed(0)
    layer, attention = Clustering(8), MultiHeadAttention(8, 1)
    attention.load_state_dict(layer.attention.state_dict())
    prototypes, patches = torch.randn(2, 5, 8), torch.randn(2, 7, 8)
    mask = torch.arange(7)[None, :] < torch.tensor([[4], [0]])
    got, weights = layer(prototypes, patches, mask)
    torch.testing.assert_close(got, prototypes + layer.norm(attention(prototypes, patches, mask)))
    torch.testing.assert_close(weights.sum(dim=2), torch.tensor([[1.0] * 5, [0.0] * 5]))


@pytest.mark.parametrize("use", [BOTH, ("expression",), MODALITIES])
def test_a_decoder_that_adds_nothing_is_no_decoder(use, inputs_of, batch_of):
    inputs = inputs_of(use)
    batch = batch_of(inputs)
    model, without = (build(inputs, 3, Options(**SMALL, decoder=decoder)).eval() for decoder in (True, False))
    for layer in model.decoder:
        for weight in layer.attention.o.parameters():
            torch.nn.init.zeros_(weight)
    missing = without.load_state_dict(model.state_dict(), strict=False)
    assert not missing.missing_keys
    torch.testing.assert_close(model(batch)["logits"], without(batch)["logits"])


def test_the_modularity_loss_needs_both_sides_of_a_term(inputs_of, batch_of):
    inputs = inputs_of(BOTH)
    torch.manual_seed(0)
    model, batch = build(inputs, 3, Options(**SMALL)).eval(), batch_of(inputs)

    def loss(present, **options):
        model.options = Options(**SMALL, **options)
        return model(replace(batch, present=torch.tensor([present] * 4)))["aux_loss"]

    both, slides_only = loss([1.0, 1.0]), loss([1.0, 0.0])
    torch.testing.assert_close(both - loss([1.0, 1.0], alpha=0.0), loss([1.0, 1.0], beta=0.0))
    torch.testing.assert_close(slides_only, loss([1.0, 1.0], beta=0.0))
    torch.testing.assert_close(loss([1.0, 1.0], gamma=1.0) * 5, both)
    assert loss([0.0, 1.0]).tolist() == [0.0] * 4
    assert loss([1.0, 1.0], modularity="off").tolist() == [0.0] * 4
    assert (both.abs() > 1e-4).any()


def test_the_modularity_loss_reaches_prototypes_and_genes_but_no_feature(inputs_of, batch_of):
    inputs = inputs_of(BOTH)
    torch.manual_seed(0)
    model = build(inputs, 3, Options(**SMALL))
    batch = batch_of(inputs)
    batch = replace(batch, slides=batch.slides.requires_grad_())
    model(batch)["aux_loss"].sum().backward()
    assert model.branches["slides"].gather.tokens.weight.grad.count_nonzero() > 0
    assert model.branches["expression"].groups.groups[0].weight.grad.count_nonzero() > 0
    assert model.readout.head.weight.grad is None


def test_a_block_bounds_memory_and_changes_nothing_else(case):
    model, batch = case("umeml", BOTH, patches=40)
    values = []
    for block in (3, 16, 64):
        model.options = Options(**SMALL, block=block)
        values.append(model(batch)["aux_loss"])
    for one, other in pairwise(values):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_prototypes_show_real_patches_only(case):
    model, batch = case("umeml", BOTH, prototypes=3)
    batch = mixed(batch, BOTH)
    shown = model(batch)["attention"]["prototypes"]
    assert shown.shape == (4, 3, 6)
    assert shown.min() >= 0
    assert shown.max() <= 1 + 1e-6
    assert shown[0].count_nonzero() == 0  # has no slides
    assert (shown[1:].amax(dim=(1, 2)) > 0).all()
    assert shown.transpose(1, 2)[~batch.slides_mask].count_nonzero() == 0


def test_attention_names_what_the_options_leave(case):
    model, batch = case("umeml", BOTH, prototypes=0, grouping="chunks")
    assert set(model(batch)["attention"]) == {"slides"}


def test_a_bag_without_a_patch_has_no_modularity_loss(case):
    model, batch = case("umeml", BOTH, patches=0)
    output = model(batch)
    assert torch.isfinite(output["logits"]).all()
    assert output["aux_loss"].tolist() == [0.0] * 4


def test_options_that_contradict_one_another_are_refused_together():
    with pytest.raises(ValueError) as caught:
        resolve_options("umeml", {"dim": 30, "chunks": 4})
    assert str(caught.value).splitlines() == [
        "expected an even dim that heads divides, got 30 and 8; write e.g. dim = 256, heads = 8",
        'expected chunks = 0 with grouping = "groups", got 4; write grouping = "chunks"',
    ]
    with pytest.raises(ValueError, match='a dim of at least 8 with fuse = "gated_bilinear", got 4; raise it'):
        resolve_options("umeml", {"dim": 4, "heads": 2, "fuse": "gated_bilinear"})


def test_the_bilinear_fusion_of_three_modalities_is_refused():
    content = {
        "schema": 1,
        "name": "small",
        "task": {"kind": "classification", "column": "grade", "classes": ["G2", "G3"]},
        "model": {"architecture": "umeml", "fuse": "gated_bilinear"},
        "modalities": {"slides": {}, "expression": {}, "clinical": {}},
    }
    with pytest.raises(StudyError, match='gated_bilinear": expected two modalities, got slides, expression, clinical'):
        parse_study(content)
