from dataclasses import replace

import pytest
import torch

from shared.models.late import Options, build

from .cases import mcat6, parts

SMALL = Options(dim=8, dropout=0.0)


def test_size():
    sizes = parts(build(mcat6(slides=1024), 4, Options()))
    assert sizes == {"branches.slides": 262_400 + 65_921 + 1028, "branches.expression": 860_160 + 65_921 + 1028}


def test_logits_are_the_mean_over_what_a_patient_has(inputs_of, batch_of):
    inputs = inputs_of(("slides", "blood", "clinical"))
    model = build(inputs, 3, SMALL).eval()
    batch = batch_of(inputs)
    here = torch.tensor([[1.0, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]])
    output = model(replace(batch, present=here))
    alone = torch.stack(
        [model.branches[name](batch, torch.ones(4))[0] for name in inputs.modalities], dim=1
    )  # (B, M, C)
    expected = (alone * here[:, :, None]).sum(dim=1) / here.sum(dim=1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(output["logits"], expected)
    assert output["attention"]["modalities"][1].tolist() == [0.5, 0, 0.5]


@pytest.mark.parametrize("lacking", [0, 1])
def test_learned_weights_are_shared_among_what_is_present(lacking, inputs_of, batch_of):
    inputs = inputs_of(("slides", "blood"))
    model = build(inputs, 3, Options(dim=8, dropout=0.0, weights="learned")).eval()
    with torch.no_grad():
        model.scores.weight.copy_(torch.tensor([[0.0], [1.0]]))
    batch = batch_of(inputs)
    share = 1 / (1 + torch.exp(torch.tensor(1.0)))
    torch.testing.assert_close(model(batch)["attention"]["modalities"][0], torch.stack([share, 1 - share]))
    present = torch.ones(4, 2)
    present[:, lacking] = 0
    assert model(replace(batch, present=present))["attention"]["modalities"].tolist() == present.tolist()
