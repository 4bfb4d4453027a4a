from shared.models.dp_small import Options, build
from shared.models.inputs import Inputs

from .cases import parts


def test_size():
    panels = tuple(tuple(range(16 * i, 16 * i + 16)) for i in range(6))
    model = build(Inputs(("slides", "expression"), slides=1024, genes=96, groups=panels), 4, Options())
    sizes = parts(model, depth=1)
    assert sizes == {
        "branches": 65_600 + 4193 + 6 * 1088,
        "absent": 2 * 64,
        "project": 8256,
        "head": 260,
    }
    assert sum(sizes.values()) == 84_965
