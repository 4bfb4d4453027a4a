"""The rules of SEEDS.md section 6, for every architecture of the registry and several sets of modalities."""

from dataclasses import fields, replace
from importlib import import_module

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from shared.cohort import MODALITIES
from shared.cohort.batch import Batch
from shared.messages import branch_of
from shared.models import ARCHITECTURES, resolve_options

SMALL = {  # every architecture needs a row: small, without dropout, with weights that are not zero
    "abmil": {"dim": 8, "dropout": 0.0},
    "linear": {"zero_init": False, "scale": "block"},
    "s1_crossattn": {"dim": 16, "heads": 4, "dropout": 0.0, "head_dropout": 0.0},
}
LOOKS_AT = {"abmil": ("slides",)}  # the others look at all modalities
SETS = [
    ("slides",),
    ("expression",),
    ("slides", "expression"),
    ("expression", "clinical"),
    ("slides", "blood"),
    ("slides", "expression", "blood"),
    MODALITIES,
]
CASES = [(name, use) for name in ARCHITECTURES for use in SETS if set(LOOKS_AT.get(name, use)) <= set(use)]
MULTIMODAL = [(name, use) for name, use in CASES if len(LOOKS_AT.get(name, use)) > 1]
VALUES = ("slides", "expression", "aux", "blood", "imaging", "clinical")
FIELDS = {name: (name, "aux") if name == "expression" else (name,) for name in MODALITIES}
OUTPUTS = 3

every_case = pytest.mark.parametrize(
    ("name", "use"), CASES, ids=lambda value: "+".join(value) if isinstance(value, tuple) else value
)


@pytest.fixture
def case(inputs_of, batch_of):
    """Model in evaluation mode and batch of a case."""

    def build(name, use, rows=4, patches=6, **options):
        torch.manual_seed(0)
        module, inputs = import_module(ARCHITECTURES[name]), inputs_of(use)
        model = module.build(inputs, OUTPUTS, module.Options(**resolve_options(name, {**SMALL[name], **options})))
        return model.eval(), batch_of(inputs, rows=rows, patches=patches)

    return build


def without(batch: Batch, use: tuple[str, ...], absent: tuple[str, ...]) -> Batch:
    """The batch as a site without those modalities makes it: zeros, masks False, presence 0."""
    present = batch.present.clone()
    changes = {}
    for name in absent:
        present[:, use.index(name)] = 0
        for field in FIELDS[name]:
            mask = f"{field}_mask" if field in ("slides", "imaging") else f"{field}_observed"
            changes[field] = torch.zeros_like(getattr(batch, field))
            changes[mask] = torch.zeros_like(getattr(batch, mask))
    return replace(batch, present=present, **changes)


def rows_of(batch: Batch, rows: slice) -> Batch:
    return Batch(**{field.name: getattr(batch, field.name)[rows] for field in fields(batch)})


def loss_of(logits: Tensor, y: Tensor) -> Tensor:
    return functional.cross_entropy(logits, y, reduction="none")


def test_every_architecture_is_tested():
    assert set(SMALL) == set(ARCHITECTURES)


@every_case
def test_output_has_the_promised_shapes(case, name, use):
    model, batch = case(name, use)
    output = model(batch)
    assert set(output) == {"logits", "aux_loss", "embedding", "attention"}
    assert output["logits"].shape == (4, OUTPUTS)
    assert output["aux_loss"].tolist() == [0.0] * 4
    assert output["embedding"].shape[0] == 4
    assert output["embedding"].ndim == 2
    for weights in output["attention"].values():
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(4))


@every_case
def test_a_gradient_a_patient_equals_a_loop_over_patients(case, name, use):
    model, batch = case(name, use)
    batch = mixed(batch, use)
    weights = {key: value.detach() for key, value in model.named_parameters()}
    columns = {field.name: getattr(batch, field.name) for field in fields(batch)}

    def loss(weights, columns):
        single = Batch(**{key: value[None] for key, value in columns.items()})
        return loss_of(functional_call(model, weights, (single,))["logits"], single.y).sum()

    at_once = vmap(grad(loss), in_dims=(None, 0))(weights, columns)
    for row in range(len(batch)):
        model.zero_grad()
        single = rows_of(batch, slice(row, row + 1))
        loss_of(model(single)["logits"], single.y).sum().backward()
        for key, weight in model.named_parameters():
            torch.testing.assert_close(at_once[key][row], weight.grad, rtol=1e-5, atol=1e-5)


def mixed(batch: Batch, use: tuple[str, ...]) -> Batch:
    """Patient 0 lacks the first modality, patient 1 the last one (the same one where there is only one)."""
    present = batch.present.clone()
    present[0, 0] = 0
    present[1, len(use) - 1] = 0
    return replace(batch, present=present)


@every_case
def test_no_patient_touches_another(case, name, use):
    model, batch = case(name, use)
    model.train()
    batch = replace(batch, **{field: getattr(batch, field).requires_grad_() for field in VALUES})
    logits = model(batch)["logits"]
    logits[1].square().sum().backward()
    reached = 0.0
    for field in VALUES:
        gradient = getattr(batch, field).grad
        if gradient is not None:
            others = torch.tensor([0, 2, 3])
            assert gradient[others].count_nonzero() == 0
            reached += float(gradient[1].abs().sum())
    assert reached > 0
    alone = model(rows_of(batch, slice(1, 2)))["logits"]
    torch.testing.assert_close(alone, logits[1:2], rtol=1e-5, atol=1e-6)


@every_case
def test_padding_changes_nothing(case, name, use):
    model, batch = case(name, use)
    batch = mixed(batch, use)
    padded = replace(
        batch,
        slides=functional.pad(batch.slides, (0, 0, 0, 3), value=7.0),
        slides_mask=torch.cat([batch.slides_mask, torch.zeros(4, 3, dtype=torch.bool)], dim=1),
        imaging=functional.pad(batch.imaging, (0, 0, 0, 1), value=7.0),
        imaging_mask=torch.cat([batch.imaging_mask, torch.zeros(4, 1, dtype=torch.bool)], dim=1),
    )
    torch.testing.assert_close(model(padded)["logits"], model(batch)["logits"], rtol=1e-5, atol=1e-6)


@every_case
def test_an_empty_batch_gives_no_rows(case, name, use):
    model, batch = case(name, use, rows=0)
    output = model(batch)
    assert output["logits"].shape == (0, OUTPUTS)
    assert output["aux_loss"].shape == (0,)
    assert loss_of(output["logits"], batch.y).shape == (0,)


@every_case
def test_training_changes_no_buffer_and_no_name(case, name, use):
    model, batch = case(name, use)
    model.train()
    names = list(model.state_dict())
    buffers = {key: value.clone() for key, value in model.named_buffers()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    loss_of(model(batch)["logits"], batch.y).mean().backward()
    optimizer.step()
    assert all(torch.equal(value, buffers[key]) for key, value in model.named_buffers())
    assert not any(isinstance(module, nn.modules.batchnorm._NormBase) for module in model.modules())
    assert list(model.state_dict()) == names == [key for key, _ in model.named_parameters()]


@every_case
def test_parameters_belong_to_branches_of_the_study(case, name, use):
    model, _ = case(name, use)
    assert {branch_of(key) for key in model.state_dict()} == {*LOOKS_AT.get(name, use), "fusion"}


@every_case
def test_every_parameter_has_a_gradient_when_one_modality_is_left(case, name, use):
    for left in use:
        model, batch = case(name, use)
        only = without(batch, use, tuple(other for other in use if other != left))
        loss_of(model(only)["logits"], only.y).sum().backward()
        for key, weight in model.named_parameters():
            assert weight.grad is not None, key
            assert torch.isfinite(weight.grad).all(), key
            if branch_of(key) not in (left, "fusion"):
                assert weight.grad.count_nonzero() == 0, key
        if left in LOOKS_AT.get(name, use):
            moved = [weight.grad.abs().sum() for key, weight in model.named_parameters() if branch_of(key) == left]
            assert sum(moved) > 0


@every_case
def test_a_batch_without_anything_is_finite(case, name, use):
    for patches in (0, 6):
        model, batch = case(name, use, patches=patches)
        nothing = without(batch, use, use)
        logits = model(nothing)["logits"]
        assert torch.isfinite(logits).all()
        torch.testing.assert_close(logits, logits[:1].expand(4, -1))


@every_case
def test_what_is_absent_or_unobserved_is_not_seen(case, name, use):
    model, batch = case(name, use)
    before = model(mixed(batch, use))["logits"]
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
    torch.testing.assert_close(model(replace(mixed(batch, use), **changes))["logits"], before, rtol=0, atol=0)


@pytest.mark.parametrize(("name", "use"), MULTIMODAL, ids=lambda v: "+".join(v) if isinstance(v, tuple) else v)
def test_every_modality_moves_the_logits(case, name, use):
    assert moves(*case(name, use), use) == set(use)


def test_the_published_fusion_is_blind_to_the_slides(case):
    use = ("slides", "expression")
    assert moves(*case("s1_crossattn", use, fusion="published"), use) == {"expression"}


def moves(model: nn.Module, batch: Batch, use: tuple[str, ...]) -> set[str]:
    """The modalities whose perturbation moves every patient's logits by more than 1e-4 and whose gradient is not 0."""
    before = model(batch)["logits"]
    found = set()
    for name in use:
        values = getattr(batch, name)
        mask = (
            getattr(batch, f"{name}_mask")[:, :, None]
            if name in ("slides", "imaging")
            else getattr(batch, f"{name}_observed")
        )
        moved = (values + mask * torch.randn(values.shape, generator=torch.Generator().manual_seed(1))).requires_grad_()
        logits = model(replace(batch, **{name: moved}))["logits"]
        (slope,) = torch.autograd.grad(logits.sum(), moved)
        if (logits - before).abs().amax() > 1e-4 and slope.abs().amax() > 1e-7:
            found.add(name)
    return found
