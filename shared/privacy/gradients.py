"""The gradient of every patient's own loss, by whatever engine costs least (`privacy.backend`).

`vmap`: torch.func's vmap(grad(functional_call)), some patients at a time. Each call sees one patient, so losses that
couple patients are impossible by construction.
`loop`: one patient at a time.
Both cut off padding, and give the same gradients up to rounding (tests/shared/privacy/test_engines_agree.py).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from shared.cohort.batch import Batch, ModelOutput
from shared.errors import StudyError

__all__ = ["Engine", "Losses", "engine_of", "gradients"]

Losses = Callable[[ModelOutput, Batch], Tensor]
"""(what the model returned, its batch) -> the loss of each patient, the model's own included (B,)."""

CHUNK_BYTES = {"cpu": 1 << 27, "cuda": 1 << 31}  # of per-patient gradients at a time
CHUNK_PATCHES = {"cpu": 1 << 13, "cuda": 1 << 18}  # of all bags at a time, which bounds the activations
WORTHWHILE = 4  # patients at a time from which vmap beats the loop on a CPU


@dataclass(frozen=True)
class Engine:
    """How gradients are computed, and of how many patients at a time at most."""

    name: Literal["vmap", "loop"]
    chunk: int


def engine_of(backend: str, parameters: Mapping[str, nn.Parameter], patches: int) -> Engine:
    """The engine for `backend` on the parameters' device, with bags of up to `patches`.

    The chunk of `vmap` is what CHUNK_BYTES and CHUNK_PATCHES allow. `auto` is `vmap` where that is at least WORTHWHILE
    patients or the device is a GPU, else `loop`: large models and very long bags. Measured on one CPU thread, full
    bags, as multiples of a plain step (tests/benchmarks/private_step_cost.py):

    | model, patients x patches | loop | vmap of 2 | of 4 | of 8 | of 16 |
    |---|---|---|---|---|---|
    | umeml 4.1 M, 16 x 128 | 3.65 | 3.66 | 2.60 | 2.03 | 2.13 |
    | umeml 4.1 M, 16 x 512 | 1.78 | 1.76 | 1.41 | 1.20 | 1.26 |
    | umeml 4.1 M, 16 x 1024 | 1.34 | 1.38 | 1.22 | 1.12 | 1.12 |
    | umeml 4.1 M, 8 x 4096 | .86 | .92 | 1.02 | 1.17 | |
    | the same, bags of 1024 to 4096 | .45 | .54 | .70 | 1.10 | |

    No GPU was at hand: there the bounds are a guess, and the loop is left to who asks for it.

    Raises
    ------
    StudyError
        A backend that no training uses.
    """
    device = next(iter(parameters.values())).device.type
    size = 4 * sum(p.numel() for p in parameters.values())
    kind = "cpu" if device == "cpu" else "cuda"
    chunk = max(1, min(CHUNK_BYTES[kind] // size, CHUNK_PATCHES[kind] // max(patches, 1)))
    if backend == "auto":
        backend = "loop" if device == "cpu" and chunk < WORTHWHILE else "vmap"
    if backend == "loop":
        return Engine("loop", 1)
    if backend == "vmap":
        return Engine("vmap", chunk)
    raise StudyError(
        f'privacy.backend: expected auto, vmap or loop, got {backend!r}, which tests alone use; write backend = "auto"'
    )


def gradients(
    model: nn.Module, parameters: Mapping[str, nn.Parameter], batch: Batch, losses: Losses, engine: Engine
) -> Iterator[list[Tensor]]:
    """Chunk by chunk, the gradients (b, *shape) of b patients in the order of `parameters`; every patient once.

    Which patients come first is not told. An empty batch is one chunk of no patients. Nothing is clipped, and values
    may be other than finite.
    """
    if len(batch) == 0:
        yield [p.new_zeros((0, *p.shape)) for p in parameters.values()]
        return
    compute = _at_once if engine.name == "vmap" else _alone
    for chunk in _chunks(batch, 1 if engine.name == "loop" else engine.chunk):
        yield compute(model, parameters, chunk, losses)


def _at_once(model: nn.Module, parameters: Mapping[str, nn.Parameter], batch: Batch, losses: Losses) -> list[Tensor]:
    def own_loss(weights: dict[str, Tensor], columns: dict[str, Tensor]) -> Tensor:
        single = Batch(**{name: value[None] for name, value in columns.items()})
        return losses(functional_call(model, weights, (single,)), single)[0]

    weights = {name: p.detach() for name, p in parameters.items()}
    columns = {field.name: getattr(batch, field.name) for field in fields(batch)}
    found = vmap(grad(own_loss), in_dims=(None, 0), randomness="different")(weights, columns)
    return [found[name] for name in parameters]


def _alone(model: nn.Module, parameters: Mapping[str, nn.Parameter], single: Batch, losses: Losses) -> list[Tensor]:
    loss = losses(model(single), single)[0]
    return [value[None] for value in torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)]


def _chunks(batch: Batch, most: int) -> Iterator[Batch]:
    """The patients in chunks of at most `most`, as equal as can be, those with bags of like length together.

    A chunk has no more padding than its longest bag needs.
    """
    count = math.ceil(len(batch) / most)
    if count == 1:
        yield batch
        return
    patches, images = _lengths(batch.slides_mask), _lengths(batch.imaging_mask)
    for rows in torch.tensor_split(patches.argsort(), count):
        kept = {"slides": int(patches[rows].max()), "imaging": int(images[rows].max())}
        yield _part(batch, rows.to(batch.y.device), kept)


def _lengths(mask: Tensor) -> Tensor:
    """How far each row of a mask (B, T) is needed: up to its last True, one where there is none but T > 0: (B,)."""
    rows, width = mask.shape
    if not width:
        return torch.zeros(rows, dtype=torch.int64)
    places = torch.arange(1, width + 1, device=mask.device)
    return (mask * places).amax(dim=1).clamp(min=1).cpu()


def _part(batch: Batch, rows: Tensor, kept: dict[str, int]) -> Batch:
    """The patients at `rows`, their bags and images cut to the lengths `kept`."""
    columns = {field.name: getattr(batch, field.name) for field in fields(batch)}
    for name, length in kept.items():
        for column in (name, f"{name}_mask"):
            columns[column] = columns[column][:, :length]
    return Batch(**{name: column[rows] for name, column in columns.items()})
