import pytest
import torch
from torch.func import vmap

from shared.models.inputs import Inputs
from shared.models.self_normalising import GroupNetworks, PackedLinear, self_normalising
from shared.models.snn import Options, build

from .cases import UNION


@pytest.mark.parametrize(("genes", "parameters"), [(UNION, 978_692), (2000, 710_660)])
def test_size(genes, parameters):
    model = build(Inputs(("expression",), genes=genes, groups=(tuple(range(genes)),)), 4, Options())
    assert sum(weight.numel() for weight in model.parameters()) == parameters


def test_mutations_and_copy_number_stand_beside_the_genes(inputs_of):
    model = build(inputs_of(("expression",)), 3, Options(dim=8))
    assert model.branches["expression"][0][0].in_features == 12 + 3


def test_weights_start_with_the_variance_of_lecun():
    torch.manual_seed(0)
    linear = self_normalising(400, 300, 0.25)[0]
    assert float(linear.weight.detach().std()) == pytest.approx(400**-0.5, rel=0.02)
    assert linear.bias.count_nonzero() == 0


def test_dropout_draws_for_every_patient_under_vmap():
    layer = self_normalising(4, 64, 0.5).train()
    same = torch.ones(3, 4)
    drawn = vmap(layer, randomness="different")(same)
    assert not torch.equal(drawn[0], drawn[1])


def test_a_packed_layer_is_a_linear_layer_for_each_group():
    torch.manual_seed(0)
    packed = PackedLinear((2, 3), 4)
    with torch.no_grad():
        packed.bias.normal_()
    x = torch.randn(5, 5)
    torch.testing.assert_close(packed(x)[:, 0], x[:, :2] @ packed.weight[:2] + packed.bias[0])
    torch.testing.assert_close(packed(x)[:, 1], x[:, 2:] @ packed.weight[2:] + packed.bias[1])
    assert sum(weight.numel() for weight in packed.parameters()) == 2 * 4 + 3 * 4 + 2 * 4


@pytest.mark.parametrize("shared_second", [True, False])
def test_a_token_sees_the_genes_of_its_group_alone(shared_second, inputs_of, batch_of):
    inputs = inputs_of(("expression",))
    networks = GroupNetworks(inputs.groups, inputs.aux, 8, 0.0, shared_second=shared_second)
    batch = batch_of(inputs)
    batch.expression_observed.fill_(True)
    before = networks(batch)
    batch.expression[:, 3] += 1.0  # of groups 0 and 1
    moved = (networks(batch) - before).abs().amax(dim=(0, 2)) > 0
    assert moved.tolist() == [True, True, False, False]
