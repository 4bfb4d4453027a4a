"""Several heads on slices of one row of logits."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from shared.cohort.batch import Batch, ModelOutput
from shared.study import Study, parse_study
from shared.tasks import head_output, loss_of, task_of

BatchOf = Callable[..., Batch]
OutputOf = Callable[[torch.Tensor], ModelOutput]


def study_of(*heads: dict[str, Any]) -> Study:
    """Two classes (logit 0), then the heads."""
    return parse_study(
        {
            "schema": 1,
            "name": "several",
            "task": {"kind": "classification", "column": "idh", "classes": ["mut", "wt"]},
            "heads": list(heads),
            "model": {"architecture": "linear"},
            "modalities": {"clinical": {}},
        }
    )


DEATH = {"name": "death", "weight": 0.5, "task": {"kind": "survival", "time_edges": [12]}}  # logits 1 and 2
GRADE = {"name": "grade", "task": {"kind": "classification", "column": "g", "classes": ["2", "3", "4"]}}  # 3 to 5
BOTH = study_of(DEATH, GRADE)
Z = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labelled(batch_of: BatchOf) -> Batch:
    """Three patients: the second has no grade, the third is known by the main task only."""
    y, cens = torch.tensor([[1, 2], [0, -1], [-1, -1]]), torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    return replace(batch_of([0, 1, 1]), further_y=y, further_cens=cens)


def test_a_study_without_heads_has_the_loss_of_its_task(batch_of: BatchOf, output_of: OutputOf) -> None:
    alone, batch = study_of(), batch_of([0, 1, 1])
    assert batch.further_y.shape == batch.further_cens.shape == (3, 0)
    output = output_of(Z[:, :1])
    torch.testing.assert_close(loss_of(alone)(output, batch), task_of(alone.task).loss(output, batch))


def test_each_head_has_its_slice_and_its_weight(labelled: Batch, batch_of: BatchOf, output_of: OutputOf) -> None:
    main = task_of(BOTH.task).loss(output_of(Z[:, :1]), batch_of([0, 1, 1]))
    death, grade = (task_of(head.task) for head in BOTH.heads)
    first = death.loss(output_of(Z[:2, 1:3]), batch_of([1, 0], [1.0, 0.0]))
    second = grade.loss(output_of(Z[:1, 3:]), batch_of([2]))
    zero = torch.zeros(1)
    expected = main + 0.5 * torch.cat([first, zero]) + torch.cat([second, zero, zero])
    torch.testing.assert_close(loss_of(BOTH)(output_of(Z), labelled), expected)


def test_an_unknown_label_gives_its_head_no_gradient(labelled: Batch, output_of: OutputOf) -> None:
    z = Z.clone().requires_grad_()
    loss_of(BOTH)(output_of(z), labelled).sum().backward()
    assert z.grad is not None
    moved = z.grad != 0
    assert moved.tolist() == [[True] * 6, [True, True, False, False, False, False], [True] + [False] * 5]


def test_extreme_logits_of_an_unknown_label_do_not_spoil_the_loss(labelled: Batch, output_of: OutputOf) -> None:
    z = Z.clone()
    z[2, 1:] = 1e4
    z.requires_grad_()
    loss = loss_of(BOTH)(output_of(z), labelled)
    loss.sum().backward()
    assert z.grad is not None
    assert torch.isfinite(loss).all()
    assert torch.isfinite(z.grad).all()


def test_a_head_reads_its_own_logits(output_of: OutputOf) -> None:
    assert head_output(output_of(Z), BOTH, BOTH.heads[0])["logits"].tolist() == Z[:, 1:3].tolist()
    assert head_output(output_of(Z), BOTH, BOTH.heads[1])["logits"].tolist() == Z[:, 3:].tolist()


def test_no_patients_no_loss(batch_of: BatchOf, output_of: OutputOf) -> None:
    nobody = replace(batch_of([]), further_y=torch.zeros(0, 2, dtype=torch.int64), further_cens=torch.zeros(0, 2))
    assert loss_of(BOTH)(output_of(Z[:0]), nobody).shape == (0,)
