from dataclasses import replace

import pytest
import torch

from shared.models.abmil import Options, build
from shared.models.inputs import Inputs


@pytest.mark.parametrize(("features", "parameters"), [(512, 329_989), (1024, 461_061), (2048, 723_205)])
def test_size(features, parameters):
    model = build(Inputs(("slides",), slides=features), 4, Options())
    assert sum(weight.numel() for weight in model.parameters()) == parameters


def test_names_of_saved_weights(inputs_of):
    model = build(inputs_of(("slides",)), 3, Options(dim=8))
    layers = ("encoder.0", "pool.content", "pool.gate", "pool.score", "project.0")
    names = [f"branches.slides.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    assert list(model.state_dict()) == [*names, "head.weight", "head.bias"]


def test_a_patient_without_slides_is_predicted_by_the_bias(inputs_of, batch_of):
    inputs = inputs_of(("slides",))
    model = build(inputs, 3, Options(dim=8)).eval()
    batch = batch_of(inputs)
    present = batch.present.clone()
    present[2, 0] = 0
    output = model(replace(batch, present=present))
    torch.testing.assert_close(output["logits"][2], model.head.bias)
    assert output["attention"]["slides"][2].count_nonzero() == 0


def test_the_order_of_patches_does_not_matter(inputs_of, batch_of):
    inputs = inputs_of(("slides",))
    model = build(inputs, 3, Options(dim=8)).eval()
    batch = batch_of(inputs)
    turned = replace(batch, slides=batch.slides.flip(1), slides_mask=batch.slides_mask.flip(1))
    torch.testing.assert_close(model(turned)["logits"], model(batch)["logits"])
