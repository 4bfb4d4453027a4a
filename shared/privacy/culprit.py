"""Which module makes patients of a batch depend on one another: found by watching what enters and leaves each."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from shared.cohort.batch import Batch
from shared.privacy.probe_batch import seeded

__all__ = ["culprit", "named"]


def culprit(model: nn.Module, batch: Batch, company: Batch, row: int) -> str:
    """The first module whose output for patient `row` is another one in other `company`; "" where there is none.

    Where what goes into a module has changed already, the code around it did that: of the module that called it.
    Values are compared bit for bit, which equal shapes allow.
    """
    before, after = _trace(model, batch, row), _trace(model, company, row)
    for one, other in zip(before, after, strict=False):
        if one.what != other.what or len(one.values) != len(other.values):
            return named(model, one.by)
        if not all(_equal(a, b) for a, b in zip(one.values, other.values, strict=True)):
            return named(model, one.by)
    return "" if len(before) == len(after) else named(model, "")


def named(model: nn.Module, name: str) -> str:
    """A module as people find it: its path and its class."""
    kind = type(model.get_submodule(name)).__name__
    return f"{name} ({kind})" if name else kind


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)


@dataclass(frozen=True)
class Event:
    """Values of one patient on their way into or out of a module."""

    what: str
    by: str  # the module whose code made them
    values: list[Tensor]


def _trace(model: nn.Module, batch: Batch, row: int) -> list[Event]:
    """Everything that enters and leaves a module, in order."""
    events: list[Event] = []
    running: list[str] = []

    def enter(name: str, module: nn.Module, arguments: Any, options: Any) -> None:
        values = _rows((arguments, options), row, len(batch))
        events.append(Event(f"into {name}", running[-1] if running else "", values))
        running.append(name)

    def leave(name: str, module: nn.Module, arguments: Any, output: Any) -> None:
        running.pop()
        events.append(Event(f"out of {name}", name, _rows(output, row, len(batch))))

    handles = []
    for name, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(partial(enter, name), with_kwargs=True))
        handles.append(module.register_forward_hook(partial(leave, name)))
    try:
        with seeded(), torch.no_grad():
            model(batch)
    finally:
        for handle in handles:
            handle.remove()
    return events


def _rows(value: Any, row: int, count: int) -> list[Tensor]:
    """What the tensors of `value` with one row a patient hold of patient `row`."""
    if isinstance(value, Tensor):
        return [value[row].to(torch.float64, copy=True)] if value.ndim and len(value) == count else []
    if is_dataclass(value):
        return [part for field in fields(value) for part in _rows(getattr(value, field.name), row, count)]
    if isinstance(value, Mapping):
        return [part for each in value.values() for part in _rows(each, row, count)]
    if isinstance(value, tuple | list):
        return [part for each in value for part in _rows(each, row, count)]
    return []
