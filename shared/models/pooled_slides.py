"""A bag of patches as one vector: the slide side of several models."""

from torch import Tensor, nn

from shared.models.attention import GatedPool

__all__ = ["PooledSlides"]


class PooledSlides(nn.Module):
    """Linear, ReLU and dropout on each patch, then gated attention pooling (Ilse, Tomczak and Welling 2018, eq. 9)."""

    def __init__(self, features: int, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(features, dim), nn.ReLU(), nn.Dropout(dropout))
        self.pool = GatedPool(dim, hidden)

    def forward(self, slides: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Bag (B, N, F) and mask (B, N) to the pool (B, d), the weights (B, N) and the patches (B, N, d).

        An empty bag pools to 0.
        """
        patches = self.encoder(slides)
        pooled, weights = self.pool(patches, mask)
        return pooled, weights, patches
