"""Rules (a) and (h) of SEEDS.md section 6: one gradient a patient, by whatever engine, is the patient's own."""

from dataclasses import fields

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from shared.cohort.batch import Batch

from .cases import alone, every_case, loss_of, mixed

pytestmark = pytest.mark.slow  # all of them together
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def own_gradients(model: nn.Module, batch: Batch) -> list[dict[str, Tensor]]:
    """The gradient of every patient, each taken alone and without the padding of the others."""
    found = []
    for row in range(len(batch)):
        model.zero_grad()
        single = alone(batch, row)
        loss_of(model(single), single).sum().backward()
        found.append({key: weight.grad.clone() for key, weight in model.named_parameters()})
    model.zero_grad()
    return found


@every_case
def test_the_clipped_sum_over_patients_equals_a_loop_over_them(case, name, use, options):
    model, batch = case(name, use, **options)
    batch = mixed(batch, use)
    weights = {key: value.detach() for key, value in model.named_parameters()}
    columns = {field.name: getattr(batch, field.name) for field in fields(batch)}

    def loss(weights, columns):
        single = Batch(**{key: value[None] for key, value in columns.items()})
        return loss_of(functional_call(model, weights, (single,)), single).sum()

    at_once = vmap(grad(loss), in_dims=(None, 0))(weights, columns)
    one_by_one = own_gradients(model, batch)
    norms = torch.stack([torch.stack([g.norm() for g in own.values()]).norm() for own in one_by_one])
    bound = norms.max() / 2  # so that some patients are clipped and some are not
    at_once_norms = torch.stack([g.flatten(1).norm(dim=1) for g in at_once.values()]).norm(dim=0)
    torch.testing.assert_close(at_once_norms, norms, **CLOSE)
    factors = (bound / norms).clamp(max=1)
    for key in weights:
        clipped = sum(own[key] * factor for own, factor in zip(one_by_one, factors, strict=True))
        found = torch.einsum("b,b...->...", (bound / at_once_norms).clamp(max=1), at_once[key])
        torch.testing.assert_close(found, clipped, **CLOSE)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@every_case
def test_hooks_find_the_gradient_of_every_patient_and_wrapping_changes_no_name(case, name, use, options):
    from opacus.grad_sample import GradSampleModule  # seconds, which the quick loop would wait for in vain
    from opacus.validators import ModuleValidator

    model, batch = case(name, use, **options)
    batch = mixed(batch, use)
    one_by_one = own_gradients(model, batch)
    before = list(model.state_dict())
    model.train()
    assert ModuleValidator.validate(model, strict=False) == []
    wrapped = GradSampleModule(model, loss_reduction="sum")
    assert [key.removeprefix("_module.") for key in wrapped.state_dict()] == before
    loss_of(wrapped(batch), batch).sum().backward()
    for key, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad_sample, torch.stack([own[key] for own in one_by_one]), **CLOSE)
