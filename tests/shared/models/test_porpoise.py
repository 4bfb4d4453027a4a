import torch

from shared.models.bilinear_fusion import BilinearFusion
from shared.models.porpoise import Options, build

from .cases import mcat6, parts


def test_size():
    sizes = parts(build(mcat6(slides=1024), 4, Options()))
    assert sizes == {
        "branches.slides": 524_800 + 262_913 + 131_328,
        "branches.expression": 780_288 + 65_792,
        "fuse.sides": 2 * (8224 + 16_416 + 1056),
        "fuse.mix": 279_040,
        "fuse.out": 82_688,
        "head.weight": 1024,
        "head.bias": 4,
    }
    assert sum(sizes.values()) == 2_179_269


def test_the_outer_product_keeps_each_side_alone():
    fusion = BilinearFusion(4, 2, 6, 0.0)
    seen = []
    fusion.mix.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    fusion(torch.randn(3, 8))
    products = seen[0].reshape(3, 3, 3)
    torch.testing.assert_close(products[:, :2, :2], products[:, :2, 2:] * products[:, 2:, :2])
    assert products[:, 2, 2].tolist() == [1.0] * 3
