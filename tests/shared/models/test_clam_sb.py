from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from shared.models.clam_sb import Options, build
from shared.models.inputs import Inputs

from .cases import parts

SMALL = Options(dim=8, dropout=0.0, instances=2)


def test_size():
    sizes = parts(build(Inputs(("slides",), slides=1024), 2, Options()), depth=1)
    assert sizes == {"branches": 524_800 + 262_913, "instances": 2 * 1026, "head": 1026}
    assert sum(sizes.values()) == 790_791


def test_one_logit_stands_for_two_classes(inputs_of):
    model = build(inputs_of(("slides",)), 1, SMALL)
    assert (model.head.out_features, model.instances.out_features) == (1, 4)


@pytest.mark.parametrize(("patches", "each"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (9, 2)])
def test_the_instance_loss_is_that_of_the_most_and_the_least_attended_patches(patches, each, inputs_of, batch_of):
    inputs = inputs_of(("slides",))
    torch.manual_seed(1)
    model = build(inputs, 3, SMALL).eval()
    batch = batch_of(inputs, rows=1, patches=9)
    batch = replace(batch, slides_mask=(torch.arange(9) < patches)[None, :], y=torch.tensor([2]))
    output = model(batch)
    if not each:
        assert output["aux_loss"].tolist() == [0.0]
        return
    order = output["attention"]["slides"][0, :patches].argsort(descending=True)
    features = model.branches["slides"].encoder(batch.slides)[0, :patches]
    logits = model.instances(features)[:, 4:6]  # the classifier of class 2
    expected = [functional.cross_entropy(logits[i], torch.tensor(0)) for i in order[:each]]
    expected += [functional.cross_entropy(logits[i], torch.tensor(1)) for i in order[patches - each :]]
    torch.testing.assert_close(output["aux_loss"][0], 0.3 / 0.7 * torch.stack(expected).mean())


@pytest.mark.parametrize("unknown", [{"cens": torch.ones(4)}, {"y": torch.full((4,), -1)}])
def test_a_patient_whose_class_is_not_known_has_no_instance_loss(unknown, inputs_of, batch_of):
    inputs = inputs_of(("slides",))
    model = build(inputs, 3, SMALL).eval()
    batch = batch_of(inputs)
    assert model(batch)["aux_loss"].count_nonzero() > 0
    assert model(replace(batch, **unknown))["aux_loss"].tolist() == [0.0] * 4


def test_without_slides_the_bias_decides(inputs_of, batch_of):
    inputs = inputs_of(("slides",))
    model = build(inputs, 3, SMALL).eval()
    batch = batch_of(inputs)
    output = model(replace(batch, present=torch.zeros(4, 1)))
    torch.testing.assert_close(output["logits"], model.head.bias.expand(4, 3))
    assert output["aux_loss"].tolist() == [0.0] * 4
