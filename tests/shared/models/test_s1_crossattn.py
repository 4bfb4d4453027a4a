from dataclasses import replace

import pytest
import torch

from shared.models.inputs import Inputs
from shared.models.s1_crossattn import PRESETS, Options, build

MCAT6 = (82, 328, 513, 443, 1536, 452)
U = 3047
SMALL = Options(dim=16, heads=4)


def overlapping_groups() -> tuple[tuple[int, ...], ...]:
    """Groups of the sizes of mcat6, one after the other round the vocabulary."""
    starts = [sum(MCAT6[:i]) for i in range(6)]
    return tuple(tuple(sorted(i % U for i in range(a, a + n))) for a, n in zip(starts, MCAT6, strict=True))


def test_size_is_that_of_the_specification():
    inputs = Inputs(("slides", "expression"), slides=2048, genes=U, groups=overlapping_groups())
    model = build(inputs, 1, Options())
    sizes: dict[str, int] = {}
    for name, weight in model.named_parameters():
        part = ".".join(name.split(".")[:2])
        sizes[part] = sizes.get(part, 0) + weight.numel()
    assert sizes == {
        "branches.slides": 524_544,
        "branches.expression": 860_160,
        "absent.slides": 256,
        "absent.expression": 256,
        "fusion.patches_ask": 264_704,
        "fusion.tables_ask": 264_704,
        "fusion.pool_slides": 65_921,
        "fusion.pool_tables": 65_921,
        "project.0": 131_328,
        "head.weight": 256,
        "head.bias": 1,
    }
    assert sum(sizes.values()) == 2_178_051


def test_names_of_saved_weights(inputs_of):
    state = build(inputs_of(("slides", "expression", "blood")), 3, SMALL).state_dict()
    blocks = {".".join(name.split(".")[:-1]) for name in state}
    attention = {f"attention.{part}" for part in "qkvo"} | {"norm_query", "norm_key", "norm_out"}
    pool = {"content", "gate", "score"}
    assert blocks == {
        "branches.slides.encoder.0",
        *(f"branches.expression.groups.{i}" for i in range(3)),
        "branches.expression.aux",
        "branches.blood.encoder.0",
        "branches.blood.encoder.1",
        *(f"absent.{name}" for name in ("slides", "expression", "blood")),
        *(f"fusion.{block}.{part}" for block in ("patches_ask", "tables_ask") for part in attention),
        *(f"fusion.{block}.{part}" for block in ("pool_slides", "pool_tables") for part in pool),
        "project.0",
        "head",
    }


@pytest.mark.parametrize(
    ("fusion", "parameters", "unseen"),
    [
        ("cross_attn_bi", 2_178_051, set()),
        ("cross_attn", 1_781_890, set()),
        ("cross_attn_rev", 1_781_890, set()),
        ("concat", 1_648_643, set()),
        ("late", 1_649_156, set()),
        ("image_only", 656_770, {"expression"}),
        ("gene_only", 1_256_066, {"slides"}),
        ("published", 1_780_354, {"slides"}),
    ],
)
def test_every_fusion_has_its_size_and_sees_what_it_should(fusion, parameters, unseen, inputs_of, batch_of):
    full = Inputs(("slides", "expression"), slides=2048, genes=U, groups=overlapping_groups())
    with torch.device("meta"):
        model = build(full, 1, Options(fusion=fusion))
    assert sum(weight.numel() for weight in model.parameters()) == parameters
    inputs = inputs_of(("slides", "expression"))
    torch.manual_seed(1)
    model, batch = build(inputs, 3, Options(dim=16, heads=4, fusion=fusion)).eval(), batch_of(inputs)
    before = model(batch)["logits"]
    for name in ("slides", "expression"):
        moved = getattr(batch, name) + torch.randn(getattr(batch, name).shape)
        change = (model(replace(batch, **{name: moved}))["logits"] - before).abs().amax(dim=1)
        assert (change < 1e-6).all() if name in unseen else (change > 1e-4).all()


@pytest.mark.parametrize("fusion", ["cross_attn", "cross_attn_rev", "concat", "late", "image_only", "gene_only"])
def test_every_fusion_takes_missing_sides_and_an_empty_batch(fusion, inputs_of, batch_of):
    inputs = inputs_of(("slides", "expression", "blood"))
    model = build(inputs, 3, Options(dim=16, heads=4, fusion=fusion)).eval()
    batch = batch_of(inputs)
    absent = replace(batch, present=torch.tensor([[1.0, 0, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]]))
    output = model(absent)
    for value in (output["logits"], output["embedding"], *output["attention"].values()):
        assert torch.isfinite(value).all()
    output["logits"].square().sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())
    assert model(batch_of(inputs, rows=0))["logits"].shape == (0, 3)
    assert model(batch_of(inputs, patches=0))["logits"].shape == (4, 3)


def test_late_is_the_mean_of_the_sides_that_are_present(inputs_of, batch_of):
    inputs = inputs_of(("slides", "expression"))
    model = build(inputs, 3, Options(dim=16, heads=4, fusion="late")).eval()
    batch = batch_of(inputs)
    logits = {
        row: model(replace(batch, present=torch.tensor([row] * 4)))["logits"]
        for row in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0))
    }
    torch.testing.assert_close(logits[1.0, 1.0], (logits[1.0, 0.0] + logits[0.0, 1.0]) / 2)
    assert logits[0.0, 0.0].count_nonzero() == 0


@pytest.mark.parametrize(
    ("use", "keys"),
    [
        (("slides",), {"slides"}),
        (("expression",), {"groups"}),
        (("slides", "blood"), {"slides"}),
        (("slides", "expression", "blood", "imaging", "clinical"), {"slides", "groups"}),
    ],
)
def test_attention_adds_up_to_one_over_what_is_there(use, keys, inputs_of, batch_of):
    inputs = inputs_of(use)
    batch = batch_of(inputs)
    present = batch.present.clone()
    present[2] = 0
    attention = build(inputs, 3, SMALL).eval()(replace(batch, present=present))["attention"]
    assert set(attention) == keys
    for weights in attention.values():
        torch.testing.assert_close(weights.sum(dim=1), torch.tensor([1.0, 1.0, 0.0, 1.0]))
    if "slides" in keys:
        assert attention["slides"].shape == batch.slides_mask.shape
        assert attention["slides"][~batch.slides_mask].count_nonzero() == 0
    if "groups" in keys:
        assert attention["groups"].shape == (4, 3)


def test_the_preset_for_private_training_is_small():
    panels = tuple(tuple(range(16 * i, 16 * i + 16)) for i in range(6))
    inputs = Inputs(("slides", "expression"), slides=1024, genes=96, groups=panels)
    model = build(inputs, 4, Options(**PRESETS["dp_small"]))
    assert sum(weight.numel() for weight in model.parameters()) == 83_190


@pytest.mark.parametrize("patches", [0, 6])
def test_the_absent_token_stands_for_slides_that_are_missing(patches, inputs_of, batch_of):
    inputs = inputs_of(("slides", "expression"))
    model = build(inputs, 3, SMALL).eval()
    batch = batch_of(inputs, patches=patches)
    present = batch.present.clone()
    present[1, 0] = 0
    batch = replace(batch, present=present)
    before = model(batch)["logits"]
    with torch.no_grad():
        model.absent["slides"].weight.add_(torch.randn(1, 16))
    moved = (model(batch)["logits"] - before).abs().amax(dim=1) > 1e-5
    assert moved.tolist() == ([True] * 4 if patches == 0 else [False, True, False, False])


def test_a_missing_bag_is_one_absent_token_however_long_the_others_are(inputs_of, batch_of):
    inputs = inputs_of(("slides", "expression"))
    model = build(inputs, 3, SMALL).eval()
    batch = batch_of(inputs, patches=6)
    absent = replace(batch, slides_mask=torch.zeros_like(batch.slides_mask))
    empty = replace(absent, slides=absent.slides[:, :0], slides_mask=absent.slides_mask[:, :0])
    torch.testing.assert_close(model(absent)["logits"], model(empty)["logits"])
    assert model(absent)["attention"]["slides"].count_nonzero() == 0
