"""PRIVACY.md section 2.2: by whatever engine, the clipped sum is that of a loop over single patients."""

from copy import deepcopy
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from shared.errors import StudyError
from shared.models import ARCHITECTURES, resolve_options
from shared.privacy.gradients import Engine, engine_of, gradients
from shared.study import parse_study
from shared.tasks import loss_of
from tests.shared.models.cases import SMALL, every_case, every_multimodal_case, mixed, rows_of, without
from tests.shared.models.cases import loss_of as plain_losses

from .clipped_sums import assert_same, clipped_sum, handed, middle, one_by_one, private, stepped

ENGINES = [Engine("loop", 1), *(Engine("vmap", chunk) for chunk in (1, 3, 4, 9))]  # of four patients


def agree(model: torch.nn.Module, batch: Any, losses: Any, engines: Any = tuple(ENGINES)) -> None:
    own = one_by_one(model, batch, losses)
    clip = middle(own)
    expected = clipped_sum(own, clip)
    for engine in engines:
        assert_same(stepped(model, batch, losses, engine, clip), expected)


@every_case
def test_every_engine_gives_the_clipped_sum_of_single_patients(case, name, use, options):
    model, batch = case(name, use, **options)
    agree(model, mixed(batch, use), plain_losses)


@pytest.mark.slow
@every_multimodal_case
def test_so_it_does_where_nobody_in_the_batch_has_a_modality(case, name, use, options):
    model, batch = case(name, use, **options)
    for absent in use:
        agree(model, without(batch, use, (absent,)), plain_losses, (ENGINES[0], ENGINES[2]))


@every_case
def test_an_empty_batch_is_a_sum_of_zero(case, name, use, options):
    model, batch = case(name, use, **options)
    nobody = rows_of(batch, slice(0, 0))
    for engine in (ENGINES[0], ENGINES[-1]):
        (chunk,) = gradients(model, dict(model.named_parameters()), nobody, plain_losses, engine)
        assert [tuple(g.shape) for g in chunk] == [(0, *p.shape) for p in model.parameters()]
        assert not stepped(model, nobody, plain_losses, engine, 1.0).any()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Full backward hook is firing", "ignore:Secure RNG turned off")
@every_case
def test_opacus_hooks_and_make_private_give_the_same_sum(case, name, use, options):
    from opacus import PrivacyEngine
    from opacus.grad_sample import GradSampleModule

    model, batch = case(name, use, **options)
    batch = mixed(batch, use)
    model.train()  # without dropout; hooks refuse a model in evaluation mode
    own = one_by_one(model, batch, plain_losses)
    clip = middle(own)
    expected = clipped_sum(own, clip)

    hooked = deepcopy(model)
    wrapped = GradSampleModule(hooked, loss_reduction="sum")
    sums = handed(hooked, private(hooked, clip), lambda: plain_losses(wrapped(batch), batch).sum().backward())
    assert_same(sums, expected)

    other = deepcopy(model)
    loader = DataLoader(TensorDataset(torch.zeros(len(batch), 1)), batch_size=len(batch))
    _, optimizer, _ = PrivacyEngine().make_private(
        module=other, optimizer=torch.optim.SGD(other.parameters(), lr=0.0), data_loader=loader,
        noise_multiplier=0.0, max_grad_norm=clip, loss_reduction="sum", grad_sample_mode="no_op", wrap_model=False,
    )  # fmt: skip
    weights = dict(other.named_parameters())

    def by_vmap() -> None:
        (chunk,) = gradients(other, weights, batch, plain_losses, Engine("vmap", 4))
        for weight, sample in zip(weights.values(), chunk, strict=True):
            weight.grad_sample = sample

    assert_same(handed(other, optimizer, by_vmap), expected)


def grade(**more: Any) -> dict[str, Any]:
    return {"kind": "classification", "column": "grade", "classes": ["G2", "G3", "G4"], **more}


TASKS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "two classes": ({"kind": "classification", "column": "idh", "classes": ["mut", "wt"]}, []),
    "grades": (grade(ordered=True), []),
    "rare grades": (grade(priors=[0.6, 0.3, 0.1], class_weights=[1, 2, 5], logit_adjustment=1.0), []),
    "survival": ({"kind": "survival"}, []),
    "further heads": (
        {"kind": "survival"},
        [{"name": "grade", "weight": 0.5, "task": grade()}, {"name": "death", "task": {"kind": "survival"}}],
    ),
}


@pytest.mark.parametrize("modularity", ["paper", "cause"])
@pytest.mark.parametrize("name", TASKS)
def test_every_loss_and_the_modularity_of_umeml_are_the_patients_own(inputs_of, batch_of, name, modularity):
    task, heads = TASKS[name]
    study = parse_study(
        {"schema": 1, "name": "x", "task": task, "heads": heads, "model": {"architecture": "linear"},
         "modalities": {"clinical": {}}}
    )  # fmt: skip
    use = ("slides", "expression")
    inputs, module = inputs_of(use), import_module(ARCHITECTURES["umeml"])
    options = resolve_options("umeml", {**SMALL["umeml"], "modularity": modularity})
    torch.default_generator.manual_seed(0)
    model = module.build(inputs, study.outputs, module.Options(**options)).eval()
    batch = mixed(batch_of(inputs), use)
    further_y = torch.tensor([[0, 3], [-1, 2], [2, -1], [-1, -1]])[:, : len(heads)]
    batch = replace(
        batch,
        y=batch.y.clamp(max=study.task.outputs - 1 if study.task.outputs > 1 else 1),
        cens=torch.tensor([0.0, 1.0, 1.0, 0.0]),
        further_y=further_y,
        further_cens=torch.tensor([[0.0, 1.0]] * 4)[:, : len(heads)],
    )
    task_loss = loss_of(study)
    output = model(batch)
    assert output["aux_loss"].abs().max() > 0
    assert task_loss(output, batch).abs().min() > 0
    agree(model, batch, lambda output, batch: task_loss(output, batch) + output["aux_loss"])


def test_a_chunk_stays_within_its_memory_and_where_few_fit_a_cpu_takes_one_at_a_time():
    weights = {"w": torch.nn.Parameter(torch.zeros(1 << 20))}  # 4 MiB a patient
    assert engine_of("vmap", weights, 16) == Engine("vmap", 32)
    assert engine_of("vmap", weights, 1024) == Engine("vmap", 8)
    assert engine_of("vmap", weights, 100_000) == Engine("vmap", 1)
    assert engine_of("loop", weights, 5) == Engine("loop", 1)
    assert [engine_of("auto", weights, patches).name for patches in (0, 2048, 4096)] == ["vmap", "vmap", "loop"]
    large = {"w": torch.nn.Parameter(torch.zeros(1 << 24))}
    assert engine_of("auto", large, 0) == Engine("loop", 1)
    with pytest.raises(StudyError, match="expected auto, vmap or loop, got 'hooks', which tests alone use"):
        engine_of("hooks", weights, 5)
