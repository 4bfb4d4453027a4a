"""Two vectors as the outer product of what gates leave of them (Chen et al. 2022, IEEE TMI, Pathomic Fusion, eq. 4)."""

import torch
from torch import Tensor, nn

__all__ = ["BilinearFusion"]


class BilinearFusion(nn.Module):
    """Each side is narrowed under a gate that sees both; the outer product keeps each side alone by an appended 1."""

    def __init__(self, dim: int, narrow: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.sides = nn.ModuleList(_Side(dim, narrow, dropout) for _ in range(2))
        self.mix = nn.Sequential(nn.Linear((narrow + 1) ** 2, outputs), nn.ReLU(), nn.Dropout(dropout))
        self.out = nn.Sequential(nn.Linear(outputs + 2 * (narrow + 1), outputs), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, pair: Tensor) -> Tensor:
        """The two vectors side by side (B, 2 dim), to (B, outputs)."""
        one = torch.ones_like(pair[:, :1])
        first, second = (
            torch.cat([side(x, pair), one], dim=1) for side, x in zip(self.sides, pair.chunk(2, dim=1), strict=True)
        )
        product = torch.bmm(first[:, :, None], second[:, None, :]).flatten(1)
        mixed: Tensor = self.out(torch.cat([self.mix(product), first, second], dim=1))
        return mixed


class _Side(nn.Module):
    def __init__(self, dim: int, narrow: int, dropout: float) -> None:
        super().__init__()
        self.content = nn.Linear(dim, narrow)
        self.gate = nn.Linear(2 * dim, narrow)
        self.out = nn.Sequential(nn.Linear(narrow, narrow), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, x: Tensor, pair: Tensor) -> Tensor:
        narrowed: Tensor = self.out(torch.relu(self.content(x)) * torch.sigmoid(self.gate(pair)))
        return narrowed
