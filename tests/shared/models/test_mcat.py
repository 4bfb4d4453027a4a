import pytest
import torch

from shared.models.mcat import Options, build

from .cases import mcat6, parts


def test_size():
    sizes = parts(build(mcat6(slides=1024), 4, Options()))
    assert {name: size for name, size in sizes.items() if name.startswith("branches")} == {
        "branches.slides": 262_400,
        "branches.expression": 860_160 + 394_752,
    }
    assert sum(sizes.values()) == 4_482_310


def test_size_with_bilinear_fusion():
    concat, bilinear = (parts(build(mcat6(slides=1024), 4, Options(fusion=f)), 1) for f in ("concat", "bilinear"))
    assert concat["fuse"] == 131_328 + 65_792
    assert bilinear["fuse"] == 2 * (8224 + 16_416 + 1056) + 279_040 + 82_688
    assert {**concat, "fuse": 0} == {**bilinear, "fuse": 0}


@pytest.mark.parametrize("fusion", ["concat", "bilinear"])
def test_one_gene_group_does_not_make_the_slides_invisible(fusion, inputs_of, batch_of):
    inputs = inputs_of(("slides", "expression"))
    inputs = type(inputs)(inputs.modalities, slides=5, genes=12, groups=(tuple(range(12)),))
    torch.manual_seed(0)
    model = build(inputs, 3, Options(dim=32, heads=2, fusion=fusion)).eval()
    batch = batch_of(inputs)
    before = model(batch)["logits"]
    batch.slides.mul_(-1)
    assert (model(batch)["logits"] - before).abs().max() > 1e-4
