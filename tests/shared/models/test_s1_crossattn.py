from dataclasses import replace

import pytest
import torch

from shared.models.inputs import Inputs
from shared.models.s1_crossattn import Options, build

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
    ("use", "slides", "tables"),
    [
        (("slides",), True, 0),
        (("expression",), False, 4),
        (("slides", "blood"), True, 1),
        (("slides", "expression", "blood", "imaging", "clinical"), True, 7),
    ],
)
def test_attention_covers_the_sides_the_study_has(use, slides, tables, inputs_of, batch_of):
    inputs = inputs_of(use)
    batch = batch_of(inputs)
    attention = build(inputs, 3, SMALL).eval()(batch)["attention"]
    assert ("slides" in attention, "tables" in attention) == (slides, tables > 0)
    if slides:
        assert attention["slides"].shape == batch.slides_mask.shape
        assert attention["slides"][~batch.slides_mask].count_nonzero() == 0
    if tables:
        assert attention["tables"].shape == (4, tables)


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
