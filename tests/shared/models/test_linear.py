from dataclasses import replace

import pytest
import torch

from shared.models.inputs import Inputs
from shared.models.linear import Options, build

ALL = ("slides", "expression", "blood", "imaging", "clinical")


def test_starts_at_zero(inputs_of, batch_of):
    inputs = inputs_of(ALL)
    assert build(inputs, 3, Options())(batch_of(inputs))["logits"].tolist() == [[0.0] * 3] * 4


def test_without_zero_init_weights_are_random_and_the_intercept_is_zero(inputs_of):
    state = build(inputs_of(ALL), 3, Options(zero_init=False)).state_dict()
    assert state.pop("intercept.weight").tolist() == [[0.0] * 3]
    assert all(weight.abs().min() > 0 for weight in state.values())


def test_names_and_sizes_of_saved_weights(inputs_of):
    state = build(inputs_of(ALL), 3, Options()).state_dict()
    assert {name: tuple(weight.shape) for name, weight in state.items()} == {
        "branches.slides.slides.weight": (3, 5),
        "branches.expression.genes.weight": (3, 12),
        "branches.expression.aux.weight": (3, 3),
        "branches.blood.blood.weight": (3, 4),
        "branches.imaging.imaging.weight": (3, 3),
        "branches.clinical.clinical.weight": (3, 2),
        "intercept.weight": (1, 3),
    }


@pytest.mark.parametrize(
    ("scale", "expected"), [("none", 1 + 2 + 8 + 4 + 10), ("block", 1 + 2 / 2 + 8 / 2 + 4 / 2 + 10)]
)
def test_logits_by_hand(scale, expected, batch_of):
    inputs = Inputs(("slides", "expression", "clinical"), slides=4, genes=4, groups=((0, 1, 2, 3),), aux=2, clinical=1)
    model = build(inputs, 1, Options(scale=scale))
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(1.0)
    yes, no = torch.tensor([[True]]), torch.tensor([[False]])
    batch = replace(
        batch_of(inputs, rows=1, patches=3),
        slides=torch.tensor([[[1.0, 0, 0, 0], [1.0, 2, 0, 0], [9.0, 9, 9, 9]]]),  # mean (1, 1, 0, 0): 2
        slides_mask=torch.tensor([[True, True, False]]),
        expression=torch.tensor([[5.0, 3.0, 0.0, 7.0]]),
        expression_observed=torch.tensor([[True, True, True, False]]),  # 8
        aux=torch.tensor([[1.0, 3.0]]),
        aux_observed=yes.expand(1, 2),  # 4
        clinical=torch.tensor([[10.0]]),
        clinical_observed=yes,  # 10
    )
    assert model(batch)["logits"].tolist() == [[expected]]
    assert model(replace(batch, clinical_observed=no))["logits"].tolist() == [[expected - 10]]
    assert model(replace(batch, present=torch.tensor([[1.0, 1.0, 0.0]])))["logits"].tolist() == [[expected - 10]]


def test_a_risk_score_shifts_all_bins_alike(inputs_of, batch_of):
    inputs = inputs_of(("expression", "clinical"))
    model = build(inputs, 4, Options(risk_score=True, zero_init=False))
    with torch.no_grad():
        model.intercept.weight.copy_(torch.tensor([[0.0, 1.0, 2.0, 3.0]]))
    logits = model(batch_of(inputs))["logits"]
    torch.testing.assert_close(logits - logits[:, :1], torch.arange(4.0).expand(4, 4))
    assert logits[:, 0].unique().numel() == 4
    assert sum(weight.numel() for weight in model.parameters()) == 12 + 3 + 2 + 4
