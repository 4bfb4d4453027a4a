"""Self-normalising layers for gene tables (Klambauer et al. 2017; with ELU as in MCAT, Chen et al. 2021).

AlphaDropout draws for every cell on its own, so no patient touches another; under `torch.func.vmap` it needs
`randomness="different"`, or all patients would drop the same cells.
"""

import math

import torch
from torch import Tensor, nn

from shared.cohort.batch import Batch
from shared.models.branches import observed

__all__ = ["GroupNetworks", "PackedLinear", "genomic", "self_normalising"]


def genomic(batch: Batch) -> Tensor:
    """All genes, then mutations and copy number, 0 where not observed: (B, U + A)."""
    genes = observed(batch.expression, batch.expression_observed)
    return torch.cat([genes, observed(batch.aux, batch.aux_observed)], dim=1)


def self_normalising(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    """Linear with LeCun's initial weights, ELU, AlphaDropout: (..., inputs) to (..., outputs)."""
    linear = nn.Linear(inputs, outputs)
    nn.init.normal_(linear.weight, std=inputs**-0.5)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(linear, nn.ELU(), nn.AlphaDropout(dropout))


class PackedLinear(nn.Module):
    """A linear layer for each of G groups, packed: one weight and one bias, so one gradient a patient, not G."""

    def __init__(self, sizes: tuple[int, ...], dim: int) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.weight = nn.Parameter(torch.cat([torch.randn(size, dim) / math.sqrt(size) for size in sizes]))
        self.bias = nn.Parameter(torch.zeros(len(sizes), dim))

    def forward(self, x: Tensor) -> Tensor:
        """The groups' values one after another (B, sum of sizes) to one token a group (B, G, dim)."""
        pairs = zip(torch.split(x, self.sizes, dim=1), torch.split(self.weight, self.sizes), strict=True)
        return torch.stack([values @ weight for values, weight in pairs], dim=1) + self.bias


class GroupNetworks(nn.Module):
    """A self-normalising network (n_g, d, d) for each gene group, and one for mutations and copy number if any.

    Groups overlap, so they are index lists into the vocabulary. With `shared_second` all groups have one second layer.
    """

    index: Tensor

    def __init__(
        self, groups: tuple[tuple[int, ...], ...], aux: int, dim: int, dropout: float, *, shared_second: bool
    ) -> None:
        super().__init__()
        sizes = tuple(len(group) for group in groups) + ((aux,) if aux else ())
        self.register_buffer("index", torch.tensor([gene for group in groups for gene in group]), persistent=False)
        self.first = PackedLinear(sizes, dim)
        self.finish = nn.Sequential(nn.ELU(), nn.AlphaDropout(dropout))
        self.second: nn.Module
        if shared_second:
            self.second = self_normalising(dim, dim, dropout)
        else:
            self.second = nn.Sequential(
                nn.Flatten(), PackedLinear((dim,) * len(sizes), dim), nn.ELU(), nn.AlphaDropout(dropout)
            )

    def forward(self, batch: Batch) -> Tensor:
        """One token a group in the order of the study, then the aux token: (B, G or G + 1, d)."""
        genes = observed(batch.expression, batch.expression_observed).index_select(1, self.index)
        values = torch.cat([genes, observed(batch.aux, batch.aux_observed)], dim=1)
        tokens: Tensor = self.second(self.finish(self.first(values)))
        return tokens
