"""Attention over masked sets, written so that one gradient a patient can be taken (SEEDS.md 1.2 and 6).

Every parameter sits on a Linear, a LayerNorm or a Tokens that takes one tensor; a padded row is masked with the
smallest finite number, never with -inf, and its weight is set to 0 afterwards, so that an empty bag gives zeros.
"""

import torch
from torch import Tensor, nn

__all__ = [
    "CrossAttentionBlock",
    "GatedPool",
    "MultiHeadAttention",
    "SelfAttentionBlock",
    "masked_softmax",
    "shares",
]


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis among the True cells of `mask` (broadcast); zeros where no cell is True."""
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~mask, lowest).softmax(dim=-1) * mask


def shares(weights: Tensor) -> Tensor:
    """Weights (B, T) scaled to add up to 1 in every row that has any; a row of zeros stays one."""
    return weights / weights.sum(dim=1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention with `heads` heads (Vaswani et al. 2017, eq. 1 and section 3.2.2)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.o = nn.Linear(dim, dim)

    def forward(self, query: Tensor, key: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """Attend from `query` (B, Q, d) to `key` (B, K, d), where `key_mask` (B, K) is True; returns (B, Q, d)."""
        return self.weigh(query, key, key_mask)[0]

    def weigh(self, query: Tensor, key: Tensor, key_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `forward`, with the weights (B, H, Q, K) that it mixed by."""
        q, k, v = self._split(self.q(query)), self._split(self.k(key)), self._split(self.v(key))
        scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5  # (B, H, Q, K)
        weights = scores.softmax(dim=-1) if key_mask is None else masked_softmax(scores, key_mask[:, None, None, :])
        mixed: Tensor = self.o((weights @ v).transpose(1, 2).flatten(2))
        return mixed, weights

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, d) to (B, H, T, d/H)."""
        rows, tokens, dim = x.shape
        return x.reshape(rows, tokens, self.heads, dim // self.heads).transpose(1, 2)


class SelfAttentionBlock(nn.Module):
    """x + MHA(LN(x)), without a feed-forward part."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = MultiHeadAttention(dim, heads)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens (B, T, d), visible where `mask` (B, T) is True; returns (B, T, d)."""
        return self.weigh(x, mask)[0]

    def weigh(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `forward`, with the weights (B, H, T, T) that it mixed by."""
        normed = self.norm(x)
        mixed, weights = self.attention.weigh(normed, normed, mask)
        return x + mixed, weights


class CrossAttentionBlock(nn.Module):
    """LN(q + MHA(LN(q), LN(kv))): the residual keeps the query alive even when there is a single key."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm_query = nn.LayerNorm(dim)
        self.norm_key = nn.LayerNorm(dim)
        self.attention = MultiHeadAttention(dim, heads)
        self.norm_out = nn.LayerNorm(dim)

    def forward(self, query: Tensor, key: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """Attend from `query` (B, Q, d) to `key` (B, K, d), where `key_mask` (B, K) is True; returns (B, Q, d)."""
        mixed: Tensor = self.norm_out(query + self.attention(self.norm_query(query), self.norm_key(key), key_mask))
        return mixed


class GatedPool(nn.Module):
    """Gated attention pooling of a bag (Ilse, Tomczak and Welling 2018, eq. 9)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.content = nn.Linear(dim, hidden)
        self.gate = nn.Linear(dim, hidden)
        self.score = nn.Linear(hidden, 1)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, d), counted where `mask` (B, T) is True; returns the pool (B, d) and the weights (B, T)."""
        scores = self.score(torch.tanh(self.content(x)) * torch.sigmoid(self.gate(x))).squeeze(-1)
        weights = scores.softmax(dim=-1) if mask is None else masked_softmax(scores, mask)
        return (weights[:, None, :] @ x).squeeze(1), weights
