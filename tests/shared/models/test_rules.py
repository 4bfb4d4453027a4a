"""The rules of SEEDS.md section 6, for every architecture of the registry and several sets of modalities.

(a) and (h) are in test_per_patient_gradients.py. On (f): "has a gradient" means that it is there and finite; it may
be 0 where nothing flows, as in the branch of an absent modality, the instance classifiers of `clam_sb` for other
classes, or everything but the bias of a unimodal model whose only modality is absent.
"""

from dataclasses import fields, replace

import torch
from torch import nn
from torch.nn import functional

from shared.cohort.batch import Batch
from shared.messages import branch_of
from shared.models import ARCHITECTURES

from .cases import (
    DETECTORS,
    FIELDS,
    OUTPUTS,
    SMALL,
    VALUES,
    every_case,
    every_multimodal_case,
    loss_of,
    mixed,
    rows_of,
    without,
)


def test_every_architecture_is_tested():
    assert set(SMALL) == set(ARCHITECTURES) - DETECTORS


@every_case
def test_output_has_the_promised_shapes(case, name, use, options):
    model, batch = case(name, use, **options)
    output = model(batch)
    assert set(output) == {"logits", "aux_loss", "embedding", "attention"}
    assert output["logits"].shape == (4, OUTPUTS)
    assert output["aux_loss"].shape == (4,)
    assert torch.isfinite(output["aux_loss"]).all()
    assert output["embedding"].shape[0] == 4
    assert output["embedding"].ndim == 2


@every_case
def test_attention_is_shared_among_what_a_patient_has(case, name, use, options):
    model, batch = case(name, use, **options)
    batch = mixed(batch, use)
    attention = model(batch)["attention"]
    expected = {"modalities": batch.present.amax(dim=1)}
    if "slides" in use:
        expected["slides"] = batch.present[:, use.index("slides")]
    if "expression" in use:
        expected["groups"] = batch.present[:, use.index("expression")]
    for key, totals in expected.items():
        if key in attention:
            assert attention[key].shape == (4, {"slides": 6, "groups": 3, "modalities": len(use)}[key])
            assert attention[key].min() >= 0
            torch.testing.assert_close(attention[key].sum(dim=1), totals)
    if "slides" in attention:
        assert attention["slides"][~batch.slides_mask].count_nonzero() == 0
    assert set(attention) <= {*expected, "prototypes"}


@every_case
def test_no_patient_touches_another(case, name, use, options):
    model, batch = case(name, use, **options)
    model.train()
    batch = replace(batch, **{field: getattr(batch, field).requires_grad_() for field in VALUES})
    output = model(batch)
    loss_of(output, batch)[1].backward()
    reached = 0.0
    for field in VALUES:
        gradient = getattr(batch, field).grad
        if gradient is not None:
            others = torch.tensor([0, 2, 3])
            assert gradient[others].count_nonzero() == 0
            reached += float(gradient[1].abs().sum())
    assert reached > 0
    alone = model(rows_of(batch, slice(1, 2)))
    for key in ("logits", "aux_loss", "embedding"):
        torch.testing.assert_close(alone[key], output[key][1:2], rtol=1e-5, atol=1e-6)


@every_case
def test_padding_changes_nothing(case, name, use, options):
    model, batch = case(name, use, **options)
    batch = mixed(batch, use)
    padded = replace(
        batch,
        slides=functional.pad(batch.slides, (0, 0, 0, 3), value=7.0),
        slides_mask=torch.cat([batch.slides_mask, torch.zeros(4, 3, dtype=torch.bool)], dim=1),
        imaging=functional.pad(batch.imaging, (0, 0, 0, 1), value=7.0),
        imaging_mask=torch.cat([batch.imaging_mask, torch.zeros(4, 1, dtype=torch.bool)], dim=1),
    )
    before, after = model(batch), model(padded)
    for key in ("logits", "aux_loss", "embedding"):
        torch.testing.assert_close(after[key], before[key], rtol=1e-5, atol=1e-6)


@every_case
def test_an_empty_batch_gives_no_rows(case, name, use, options):
    model, batch = case(name, use, rows=0, **options)
    output = model(batch)
    assert output["logits"].shape == (0, OUTPUTS)
    assert loss_of(output, batch).shape == (0,)
    loss_of(output, batch).sum().backward()
    assert all(weight.grad is not None and not weight.grad.any() for weight in model.parameters())


@every_case
def test_training_changes_no_buffer_and_no_name(case, name, use, options):
    model, batch = case(name, use, **options)
    model.train()
    names = list(model.state_dict())
    buffers = {key: value.clone() for key, value in model.named_buffers()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    loss_of(model(batch), batch).mean().backward()
    optimizer.step()
    assert all(torch.equal(value, buffers[key]) for key, value in model.named_buffers())
    assert not any(isinstance(module, nn.modules.batchnorm._NormBase) for module in model.modules())
    assert list(model.state_dict()) == names == [key for key, _ in model.named_parameters()]


@every_case
def test_bfloat16_around_it_trains_float32_weights(case, name, use, options):
    model, batch = case(name, use, **options)
    batch = mixed(batch, use)
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 2 if weight.ndim > 1 else 1  # so that the patients lie apart
    before = model(batch)["logits"]
    with torch.autocast("cpu", torch.bfloat16):
        output = model(batch)
        loss_of(output, batch).mean().backward()
    apart, found = (logits - logits.mean(dim=0) for logits in (before, output["logits"].float()))
    assert (found - apart).norm() < 0.1 * apart.norm()
    assert all(weight.grad.dtype == torch.float32 and weight.grad.isfinite().all() for weight in model.parameters())


@every_case
def test_parameters_belong_to_branches_of_the_study(case, name, use, options):
    model, _ = case(name, use, **options)
    assert {branch_of(key) for key in model.state_dict()} - {"fusion"} == set(use)


@every_case
def test_every_parameter_has_a_gradient_when_one_modality_is_left(case, name, use, options):
    model, batch = case(name, use, **options)
    for left in use:
        model.zero_grad()
        only = without(batch, use, tuple(other for other in use if other != left))
        loss_of(model(only), only).sum().backward()
        for key, weight in model.named_parameters():
            assert weight.grad is not None, key
            assert torch.isfinite(weight.grad).all(), key
            if branch_of(key) not in (left, "fusion"):
                assert weight.grad.count_nonzero() == 0, key
        moved = [weight.grad.abs().sum() for key, weight in model.named_parameters() if branch_of(key) == left]
        assert sum(moved) > 0


@every_case
def test_a_batch_without_anything_is_finite(case, name, use, options):
    model, batch = case(name, use, **options)
    for kept in (0, 6):
        fewer = replace(batch, slides=batch.slides[:, :kept], slides_mask=batch.slides_mask[:, :kept])
        nothing = without(fewer, use, use)
        output = model(nothing)
        assert torch.isfinite(loss_of(output, nothing)).all()
        torch.testing.assert_close(output["logits"], output["logits"][:1].expand(4, -1))


@every_case
def test_what_is_absent_or_unobserved_is_not_seen(case, name, use, options):
    model, batch = case(name, use, **options)
    before = model(mixed(batch, use))
    changes = {}
    for modality in use:
        for field in FIELDS[modality]:
            values = getattr(batch, field).clone()
            if f"{field}_observed" in {f.name for f in fields(batch)}:
                values[~getattr(batch, f"{field}_observed")] = 9.0
            if modality == use[0]:
                values[0] = 9.0
            if modality == use[-1]:
                values[1] = 9.0
            changes[field] = values
    after = model(replace(mixed(batch, use), **changes))
    for key in ("logits", "aux_loss", "embedding"):
        torch.testing.assert_close(after[key], before[key], rtol=0, atol=0)


@every_multimodal_case
def test_every_modality_moves_the_logits(case, name, use, options):
    assert moves(*case(name, use, **options), use) == set(use)


def test_the_published_fusion_is_blind_to_the_slides(case):
    use = ("slides", "expression")
    assert moves(*case("s1_crossattn", use, fusion="published"), use) == {"expression"}


def moves(model: nn.Module, batch: Batch, use: tuple[str, ...]) -> set[str]:
    """The modalities by which the logits of every patient that has a value move: over 1e-4, and with a gradient."""
    before = model(batch)["logits"]
    found = set()
    for name in use:
        values = getattr(batch, name)
        bag = name in ("slides", "imaging")
        mask = getattr(batch, f"{name}_mask")[:, :, None] if bag else getattr(batch, f"{name}_observed")
        moved = (values + mask * torch.randn(values.shape, generator=torch.Generator().manual_seed(1))).requires_grad_()
        logits = model(replace(batch, **{name: moved}))["logits"]
        (slope,) = torch.autograd.grad(logits.sum(), moved)
        some = mask.flatten(1).any(dim=1)
        change, steepness = (logits - before).abs().amax(dim=1)[some], slope.flatten(1).abs().amax(dim=1)[some]
        if change.min() > 1e-4 and steepness.min() > 1e-7:
            found.add(name)
    return found
