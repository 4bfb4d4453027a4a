"""Whether the loss of a patient depends on that patient alone, and on nothing that training leaves behind.

Clipping bounds what one patient can change only if it does. Two looks at a few random patients: the slope of every
patient's loss by the numbers of the others must be exactly 0, and other values, labels or missing modalities of the
others must not change it; the latter also sees what has no slope, such as counts of labels or a detached mean.
Whoever fails is named: the first module whose output for a patient moves with the others, else the loss.
"""

import copy
import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from shared.cohort.batch import Batch
from shared.privacy.culprit import culprit
from shared.privacy.gradients import Losses
from shared.privacy.probe_batch import VALUES, seeded

__all__ = ["LOSS", "Separability", "separability"]

LOSS = "the loss"
RTOL, ATOL = 1e-5, 1e-6


@dataclass(frozen=True)
class Separability:
    """What the probe found; all empty for a model and a loss that keep patients apart."""

    coupled: str = ""  # who makes patients depend on one another: a module by name and class, or LOSS
    slope: float = 0.0  # largest slope of a loss by another patient's numbers; 0 where there is a dependence without
    shape: tuple[int, ...] | None = None  # of the losses, where they are not one a patient
    blind: bool = False  # no loss moves with its own patient's numbers, so that nothing was seen
    buffers: tuple[str, ...] = ()  # buffers that a forward pass of training changes


def separability(model: nn.Module, losses: Losses, batch: Batch, *others: Batch) -> Separability:
    """Look at `model` and `losses`; the model stays as it is.

    A copy is looked at, on the CPU and in training mode, its weights moved by random numbers, since a layer that starts
    at 0 hides what lies behind it. BatchNorm is held in evaluation mode: it is refused by its type, and would hide
    everything else.

    Parameters
    ----------
    losses
        (output, batch) -> one loss a patient (B,), the model's own included.
    batch
        A few random patients.
    others
        Further ones in the same shapes, with other values, labels and missing modalities.
    """
    with seeded():
        probed = _stirred(model)
    before = {name: buffer.clone() for name, buffer in probed.named_buffers()}
    leaves = {name: getattr(batch, name).clone().requires_grad_() for name in VALUES}
    with seeded():
        watched = replace(batch, **leaves)
        found = losses(probed(watched), watched)
    changed = tuple(_owners(probed, name) for name, old in before.items() if not _same(probed, name, old))
    if found.shape != (len(batch),):
        return Separability(coupled=LOSS, shape=tuple(found.shape), buffers=changed)
    slope, own = _slopes(found, tuple(leaves.values()))
    rows = range(len(batch))
    companies = [(row, _in_company(batch, strangers, row)) for strangers in others for row in rows]
    moved = [(row, company) for row, company in companies if _moves(probed, losses, company, row, found[row])]
    coupled = ""
    if moved or slope:
        row, company = (moved or companies)[0]
        coupled = culprit(probed, batch, company, row) or LOSS
    return Separability(coupled=coupled, slope=slope, blind=not (own or coupled), buffers=changed)


def _stirred(model: nn.Module) -> nn.Module:
    """A copy in training mode whose weights are random and none of them learns."""
    probed = copy.deepcopy(model).cpu().train()
    for module in probed.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    for weight in probed.parameters():
        weight.requires_grad_(False)
        fan_in = max(1, math.prod(weight.shape[1:])) if weight.ndim > 1 else 16
        weight.add_(torch.randn_like(weight) / fan_in**0.5)
    return probed


def _owners(model: nn.Module, buffer: str) -> str:
    """A buffer and whose it is."""
    return f"{buffer} of {type(model.get_submodule(buffer.rpartition('.')[0])).__name__}"


def _same(model: nn.Module, name: str, old: Tensor) -> bool:
    now = dict(model.named_buffers()).get(name)
    return now is not None and torch.equal(now, old)


def _slopes(losses: Tensor, leaves: tuple[Tensor, ...]) -> tuple[float, bool]:
    """The largest slope by another patient's numbers, `inf` for none that is a number; whether there is an own one."""
    worst, own = 0.0, False
    if not losses.requires_grad:
        return worst, own
    for row in range(len(losses)):
        for slope in torch.autograd.grad(losses[row], leaves, retain_graph=True, allow_unused=True):
            if slope is None or not slope.numel():
                continue
            most = slope.flatten(1).abs().amax(dim=1).nan_to_num(nan=torch.inf)
            own |= bool(most[row] > 0)
            most[row] = 0
            worst = max(worst, float(most.max()))
    return worst, own


def _moves(model: nn.Module, losses: Losses, company: Batch, row: int, loss: Tensor) -> bool:
    """Whether the loss of patient `row` is another one in this company."""
    with seeded(), torch.no_grad():
        return not torch.allclose(losses(model(company), company)[row], loss, rtol=RTOL, atol=ATOL)


def _in_company(batch: Batch, others: Batch, row: int) -> Batch:
    """`others` with the patient `row` of `batch` in the place of theirs."""
    mixed = {field.name: getattr(others, field.name).clone() for field in fields(others)}
    for name, column in mixed.items():
        column[row] = getattr(batch, name)[row]
    return Batch(**mixed)
