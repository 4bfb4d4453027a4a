"""`mcat`: gene groups ask the patches, then each side is read by a transformer (Chen et al. 2021, ICCV, MCAT).

The co-attention is the paper's equation 1 with one head: queries are the gene groups, keys and values the patches. What
a patient lacks is 0 on both ways into the last layers, so that this model keeps its published size. Attention is
ours, so that one gradient a patient can be taken.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from shared.cohort.batch import Batch, ModelOutput
from shared.documents import Document, contradictions
from shared.models.about import About
from shared.models.attention import GatedPool, MultiHeadAttention, shares
from shared.models.bilinear_fusion import BilinearFusion
from shared.models.branches import presence
from shared.models.inputs import Inputs
from shared.models.self_normalising import GroupNetworks

__all__ = ["ABOUT", "MCAT", "PRESETS", "Options", "build"]

ABOUT = About(
    summary="gene groups ask the patches",
    reference="Chen et al. 2021, ICCV",
    takes=("slides", "expression"),
    needs=("slides", "expression"),
)


class Options(Document):
    """Width, heads of the transformers, dropout, and how the two sides meet."""

    dim: Annotated[int, Field(ge=8)] = 256
    heads: Annotated[int, Field(ge=1)] = 8
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25
    fusion: Literal["concat", "bilinear"] = "concat"

    @model_validator(mode="after")
    def _agrees(self) -> "Options":
        if self.dim % self.heads:
            got = f"{self.dim} and {self.heads}"
            contradictions([f"expected a dim that heads divides, got {got}; write e.g. dim = 256, heads = 8"])
        return self


PRESETS = {"dp_small": {"dim": 32}}


class Layer(nn.Module):
    """A transformer's encoder layer, norms after (Vaswani et al. 2017, section 3.1), with 2 d hidden."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(dim, heads)
        self.feed = nn.Sequential(
            nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Dropout(dropout), nn.Linear(2 * dim, dim), nn.Dropout(dropout)
        )
        self.norm_attention = nn.LayerNorm(dim)
        self.norm_feed = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, T, d), to the same shape."""
        x = self.norm_attention(x + self.attention(x, x))
        fed: Tensor = self.norm_feed(x + self.feed(x))
        return fed


class Side(nn.Module):
    """Two transformer layers over the tokens of a side, pooled to one vector."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(Layer(dim, heads, dropout), Layer(dim, heads, dropout))
        self.pool = GatedPool(dim, dim)
        self.project = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, d) to the vector (B, d) and the pool's weights (B, T)."""
        pooled, weights = self.pool(self.layers(tokens))
        return self.project(pooled), weights


class MCAT(nn.Module):
    """Group tokens and patches, co-attention, two sides, their fusion, head."""

    def __init__(self, inputs: Inputs, outputs: int, options: Options) -> None:
        super().__init__()
        dim, heads, dropout = options.dim, options.heads, options.dropout
        self.modalities = inputs.modalities
        self.groups = len(inputs.groups)
        patches = nn.Sequential(nn.Linear(inputs.slides, dim), nn.ReLU(), nn.Dropout(dropout))
        genes = GroupNetworks(inputs.groups, inputs.aux, dim, dropout, shared_second=False)
        self.branches = nn.ModuleDict({"slides": patches, "expression": genes})
        self.co_attention = MultiHeadAttention(dim, 1)
        self.slide_side = Side(dim, heads, dropout)
        self.gene_side = Side(dim, heads, dropout)
        self.fuse: nn.Module
        if options.fusion == "bilinear":
            self.fuse = BilinearFusion(dim, dim // 8, dim, dropout)
        else:
            self.fuse = nn.Sequential(nn.Linear(2 * dim, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU())
        self.head = nn.Linear(dim, outputs)

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits (B, C), embedding (B, dim); `attention`: "slides" (B, N), "groups" (B, G).

        The weight of a patch is what the groups gave it, each group counted by its weight in the slide side's pool.
        """
        has_slides = presence(batch, self.modalities, "slides")[:, None]  # (B, 1)
        has_genes = presence(batch, self.modalities, "expression")[:, None]
        patches = self.branches["slides"](batch.slides)
        genes = self.branches["expression"](batch) * has_genes[:, :, None]
        asked, weights = self.co_attention.weigh(genes, patches, batch.slides_mask & (has_slides > 0))
        slide, over_asked = self.slide_side(asked)
        gene, over_genes = self.gene_side(genes)
        embedding = self.fuse(torch.cat([slide * has_slides, gene * has_genes], dim=1))
        logits = self.head(embedding)
        return ModelOutput(
            logits=logits,
            aux_loss=torch.zeros_like(logits[:, 0]),
            embedding=embedding,
            attention={
                "slides": (over_asked[:, None, :] @ weights[:, 0]).squeeze(1),
                "groups": shares(over_genes[:, : self.groups] * has_genes),
            },
        )


def build(inputs: Inputs, outputs: int, options: Options) -> MCAT:
    """The model for a study of slides and expression."""
    return MCAT(inputs, outputs, options)
