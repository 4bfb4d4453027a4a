"""A few learned vectors that gather the patches of a bag (S3, arXiv 2406.07078; layers of SEEDS.md 4.2)."""

from torch import Tensor, nn

from shared.models.attention import GatedPool, MultiHeadAttention, masked_softmax
from shared.models.branches import Tokens

__all__ = ["OnePool", "Prototypes", "drawn_tokens"]

LAYERS = 2


def drawn_tokens(count: int, dim: int, low: float, high: float) -> Tokens:
    """Learned tokens that start uniform between two numbers."""
    tokens = Tokens(count, dim)
    nn.init.uniform_(tokens.weight, low, high)
    return tokens


class Clustering(nn.Module):
    """Prototypes gather patches: C + LN(MHA(C, H, H)) with one head.

    The values are mixed before they are projected, which is the same sum over 5 instead of N tokens.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(dim, 1)
        self.norm = nn.LayerNorm(dim)

    def forward(self, prototypes: Tensor, patches: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """C (B, P, d), H (B, N, d) and its mask (B, N), to C (B, P, d) and the weights (B, P, N), 0 for no patch."""
        attention = self.attention
        scores = attention.q(prototypes) @ attention.k(patches).transpose(1, 2) * patches.shape[2] ** -0.5
        weights = masked_softmax(scores, mask[:, None, :])
        values = attention.v(weights @ patches) * mask.any(dim=1)[:, None, None]
        return prototypes + self.norm(attention.o(values)), weights


class Prototypes(nn.Module):
    """A few learned vectors that gather patches, twice: C <- C + LN(MHA(C, H, H))."""

    def __init__(self, count: int, dim: int) -> None:
        super().__init__()
        self.tokens = drawn_tokens(count, dim, -1 / count, 1 / count)
        self.layers = nn.ModuleList(Clustering(dim) for _ in range(LAYERS))

    def forward(self, patches: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Patches (B, N, d) and mask (B, N), to C (B, P, d) and the weights of the last time (B, P, N)."""
        gathered = self.tokens(patches)
        for layer in self.layers:
            gathered, weights = layer(gathered, patches, mask)
        return gathered, weights


class OnePool(nn.Module):
    """What stands in for prototypes where there are none: gated attention gathers all patches into one token."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pool = GatedPool(dim, dim // 2)

    def forward(self, patches: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Patches (B, N, d) and mask (B, N), to (B, 1, d) and the weights (B, 1, N)."""
        pooled, weights = self.pool(patches, mask)
        return pooled[:, None, :], weights[:, None, :]
