"""The batch that every model takes (CONTRACT.md section 3)."""

from dataclasses import dataclass, field, fields
from typing import TypedDict

import torch
from torch import Tensor

__all__ = ["Batch", "ModelOutput"]


class ModelOutput(TypedDict):
    """What every model returns: C logits, width d, one loss a patient (zeros if the model has none of its own)."""

    logits: Tensor  # (B, C)
    aux_loss: Tensor  # (B,)
    embedding: Tensor  # (B, d)
    attention: dict[str, Tensor]  # name -> (B, ...)


def _none() -> Tensor:
    return torch.zeros(0, 0)


@dataclass(frozen=True)
class Batch:
    """B patients. Absent = zeros and `present` 0, never None; a modality the study does not use has width 0."""

    slides: Tensor  # (B, N, F) float32, all slides of a patient in one bag
    slides_mask: Tensor  # (B, N) bool, True = real patch
    expression: Tensor  # (B, U) float32, normalised, clipped, 0 where not observed
    expression_observed: Tensor  # (B, U) bool
    aux: Tensor  # (B, A) float32, mutations and copy number; belongs to expression
    aux_observed: Tensor  # (B, A) bool
    blood: Tensor  # (B, F_b) float32, signed distances to the reference intervals, or the feature of their description
    blood_observed: Tensor  # (B, F_b) bool
    imaging: Tensor  # (B, I, F_i) float32, last column box_found
    imaging_mask: Tensor  # (B, I) bool
    clinical: Tensor  # (B, V) float32, scaled by public constants
    clinical_observed: Tensor  # (B, V) bool
    present: Tensor  # (B, M) float32 in {0, 1}; columns: the study's modalities in the fixed order
    y: Tensor  # (B,) int64, class or time bin
    time: Tensor  # (B,) float32, months; for metrics only
    cens: Tensor  # (B,) float32, 1 = censored
    further_y: Tensor = field(default_factory=_none)  # (B, H) int64, labels of the study's further heads; -1 = unknown
    further_cens: Tensor = field(default_factory=_none)  # (B, H) float32

    def __post_init__(self) -> None:
        if len(self.further_y) != len(self.y):  # most studies have one task: H = 0
            object.__setattr__(self, "further_y", self.y.new_zeros(len(self.y), 0))
            object.__setattr__(self, "further_cens", self.cens.new_zeros(len(self.y), 0))

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device; a pinned one is copied while the CPU goes on."""
        return Batch(**{field.name: getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)})

    def pinned(self) -> "Batch":
        """The same batch in page-locked memory, from which a GPU copies by itself."""
        return Batch(**{field.name: getattr(self, field.name).pin_memory() for field in fields(self)})
