"""From a batch to tokens of one width: one branch a modality, and the token that stands for an absent one.

A branch takes the whole batch and returns (B, tokens, dim). It runs for every patient; `replace_absent` then puts
the learned token of the model in place of what a missing modality gave (SEEDS.md section 7).
"""

import torch
from torch import Tensor, nn

from shared.cohort.batch import Batch
from shared.models.inputs import Inputs

__all__ = ["Tokens", "branches_of", "masked_mean", "observed", "presence", "replace_absent", "width_of"]


def observed(values: Tensor, mask: Tensor) -> Tensor:
    """`values` with exactly 0 in every cell that was not observed."""
    return torch.where(mask, values, 0.0)


def presence(batch: Batch, modalities: tuple[str, ...], name: str) -> Tensor:
    """1 where the patient has the modality, else 0: (B,) float. A bag without a patch or an image counts as absent."""
    present = batch.present[:, modalities.index(name)]
    match name:
        case "slides":
            return present * batch.slides_mask.any(dim=1)
        case "imaging":
            return present * batch.imaging_mask.any(dim=1)
        case _:
            return present


def width_of(inputs: Inputs, modality: str) -> int:
    """How many numbers a patient, a patch or an image of that modality has; mutations and copy number not counted."""
    return inputs.genes if modality == "expression" else int(getattr(inputs, modality))


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of (B, T, d) over the tokens where `mask` (B, T) is True: (B, d), zeros for an empty row."""
    counts = mask.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(mask[:, :, None], x, 0.0).sum(dim=1) / counts


class Tokens(nn.Module):
    """`count` learned vectors, the same for every patient. The expansion lives here so that clipping can see it."""

    def __init__(self, count: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(count, dim) * 0.02)

    def __call__(self, x: Tensor) -> Tensor:
        """Call without `x`'s gradient: a backward hook waits for it in vain, since no token depends on `x`."""
        tokens: Tensor = super().__call__(x.detach())
        return tokens

    def forward(self, x: Tensor) -> Tensor:
        """The vectors once for each of the B rows of `x`, a float tensor: (B, count, dim)."""
        return self.weight.expand(x.shape[0], -1, -1)


def replace_absent(tokens: Tensor, present: Tensor, absent: nn.Module) -> Tensor:
    """Tokens (B, T, d) where `present` (B,) is 1, and the absent token in all T places where it is 0."""
    here = present[:, None, None]
    replaced: Tensor = here * tokens + (1 - here) * absent(tokens)
    return replaced


class SlideBranch(nn.Module):
    """One token a patch: linear, ReLU, dropout."""

    def __init__(self, features: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(features, dim), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, batch: Batch) -> Tensor:
        """The bag as (B, N, d)."""
        tokens: Tensor = self.encoder(batch.slides)
        return tokens


class ExpressionBranch(nn.Module):
    """One token a gene group, and one for mutations and copy number if there are any: linear, ReLU, dropout.

    Groups overlap, so they are index lists into the vocabulary; one gather serves all of them.
    """

    index: Tensor

    def __init__(self, groups: tuple[tuple[int, ...], ...], aux: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.sizes = [len(group) for group in groups]
        self.register_buffer("index", torch.tensor([gene for group in groups for gene in group]), persistent=False)
        self.groups = nn.ModuleList(nn.Linear(size, dim) for size in self.sizes)
        self.aux = nn.Linear(aux, dim) if aux else None
        self.finish = nn.Sequential(nn.ReLU(), nn.Dropout(dropout))

    def forward(self, batch: Batch) -> Tensor:
        """The groups, then the aux token: (B, G or G + 1, d)."""
        genes = observed(batch.expression, batch.expression_observed).index_select(1, self.index)
        parts = torch.split(genes, self.sizes, dim=1)
        tokens = [layer(part) for layer, part in zip(self.groups, parts, strict=True)]
        if self.aux is not None:
            tokens.append(self.aux(observed(batch.aux, batch.aux_observed)))
        finished: Tensor = self.finish(torch.stack(tokens, dim=1))
        return finished


class TableBranch(nn.Module):
    """One token for a table (`blood` or `clinical`): its values beside its observed mask, linear, LayerNorm."""

    def __init__(self, name: str, width: int, dim: int) -> None:
        super().__init__()
        self.name = name
        self.encoder = nn.Sequential(nn.Linear(2 * width, dim), nn.LayerNorm(dim))

    def forward(self, batch: Batch) -> Tensor:
        """The table as (B, 1, d)."""
        values, mask = getattr(batch, self.name), getattr(batch, f"{self.name}_observed")
        token: Tensor = self.encoder(torch.cat([observed(values, mask), mask.to(values.dtype)], dim=1))
        return token[:, None, :]


class ImagingBranch(nn.Module):
    """One token for all clinical images: linear, LayerNorm, mean over the images."""

    def __init__(self, features: int, dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(features, dim), nn.LayerNorm(dim))

    def forward(self, batch: Batch) -> Tensor:
        """The images as (B, 1, d)."""
        return masked_mean(self.encoder(batch.imaging), batch.imaging_mask)[:, None, :]


def branches_of(inputs: Inputs, dim: int, dropout: float) -> nn.ModuleDict:
    """The branch of every modality the study uses, by name."""
    found: dict[str, nn.Module] = {}
    for name in inputs.modalities:
        match name:
            case "slides":
                found[name] = SlideBranch(inputs.slides, dim, dropout)
            case "expression":
                found[name] = ExpressionBranch(inputs.groups, inputs.aux, dim, dropout)
            case "imaging":
                found[name] = ImagingBranch(inputs.imaging, dim)
            case _:
                found[name] = TableBranch(name, width_of(inputs, name), dim)
    return nn.ModuleDict(found)
