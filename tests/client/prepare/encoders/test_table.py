from unittest import mock

import pytest
import torch
import torchvision
from torchvision.models import list_models, regnet
from torchvision.models import resnet50 as whole_resnet50

from client.prepare.encoders.table import ENCODERS, seeded
from client.prepare.encoders.torch_engine import fold_batch_norm
from shared.encoder_names import ENCODER_WIDTHS

pytestmark = pytest.mark.slow  # together they take seconds

SMALL = {
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "resnet18",
    "resnet50",
    "resnet50_layer3",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vgg11",
    "vit_b_32",
}
from_init_params = regnet.BlockParams.from_init_params.__func__


def widths_on_real_numbers(cls, *arguments, **named):
    """RegNet computes its block widths with torch, which the meta device does not."""
    with torch.device("cpu"):
        return from_init_params(cls, *arguments, **named)


def width_of(name):
    """Numbers in one feature, from shapes alone: no memory, no arithmetic."""
    kind = ENCODERS[name]
    with (
        mock.patch.object(regnet.BlockParams, "from_init_params", classmethod(widths_on_real_numbers)),
        torch.device("meta"),
        torch.inference_mode(),
    ):
        side = kind.transform.side or max(kind.transform.least, 64)
        return tuple(kind.build().eval()(torch.zeros(2, 3, side, side)).shape)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_feature_is_as_wide_as_a_study_expects(name):
    assert width_of(name) == (2, ENCODER_WIDTHS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ENCODERS.keys() - SMALL))
def test_a_feature_of_a_larger_model_is_as_wide_as_a_study_expects(name):
    assert width_of(name) == (2, ENCODER_WIDTHS[name])


def test_the_table_holds_what_a_study_may_name_and_all_of_torchvision():
    assert {name: kind.dim for name, kind in ENCODERS.items()} == ENCODER_WIDTHS
    assert set(list_models(module=torchvision.models)) == ENCODERS.keys() - {"resnet50_layer3"}


def test_random_weights_are_the_same_every_time_and_leave_the_generator_alone():
    before = torch.get_rng_state()
    one, two = (seeded(ENCODERS["resnet18"]).state_dict() for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_layer3_is_resnet50_cut_after_its_third_block():
    torch.manual_seed(0)
    whole = whole_resnet50().eval()
    cut = ENCODERS["resnet50_layer3"].build().eval()
    cut.load_state_dict({k: v for k, v in whole.state_dict().items() if not k.startswith(("layer4.", "fc."))})
    pixels = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        x = whole.maxpool(whole.relu(whole.bn1(whole.conv1(pixels))))
        expected = whole.layer3(whole.layer2(whole.layer1(x))).mean((2, 3))
        torch.testing.assert_close(cut(pixels), expected)


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "densenet121", "mnasnet0_5"])
def test_folding_batch_normalisation_keeps_the_function(name):
    torch.manual_seed(0)
    module = ENCODERS[name].build().eval()
    for part in module.modules():  # as training leaves it; at the start it does nothing
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.uniform_(-0.2, 0.2)
            part.running_var.uniform_(0.5, 2)
            part.weight.data.uniform_(0.5, 2)
            part.bias.data.uniform_(-0.2, 0.2)
    count = sum(isinstance(part, torch.nn.BatchNorm2d) for part in module.modules())
    pixels = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = module(pixels)
        folded = fold_batch_norm(module)
        torch.testing.assert_close(folded(pixels), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    left = sum(isinstance(part, torch.nn.BatchNorm2d) for part in folded.modules())
    assert left < count if name == "densenet121" else left == 0  # DenseNet normalises before some convolutions


def test_a_network_that_cannot_be_followed_comes_back_as_it_is():
    class Wavering(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = torch.nn.BatchNorm2d(3)

        def forward(self, pixels):
            return self.norm(pixels) if pixels.sum() > 0 else pixels

    module = Wavering().eval()
    assert fold_batch_norm(module) is module
