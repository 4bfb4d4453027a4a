"""`porpoise`: attention pooling of patches and a gene network, fused late by an outer product.

After Chen et al. 2022, Cancer Cell (PORPOISE): both sides are built apart and meet once, in the gated outer product of
Pathomic Fusion. What a patient lacks enters that product as 0.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from shared.cohort.batch import Batch, ModelOutput
from shared.documents import Document
from shared.models.about import About
from shared.models.bilinear_fusion import BilinearFusion
from shared.models.branches import presence
from shared.models.inputs import Inputs
from shared.models.pooled_slides import PooledSlides
from shared.models.self_normalising import genomic, self_normalising

__all__ = ["ABOUT", "PORPOISE", "PRESETS", "Options", "build"]

ABOUT = About(
    summary="pooled patches times a gene network",
    reference="Chen et al. 2022, Cancer Cell 40:865",
    takes=("slides", "expression"),
    needs=("slides", "expression"),
)


class Options(Document):
    """Width (patches have twice that), what the gates leave of each side, and dropout."""

    dim: Annotated[int, Field(ge=1)] = 256
    narrow: Annotated[int, Field(ge=1)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25


PRESETS = {"dp_small": {"dim": 32, "narrow": 16}}


class Slides(nn.Module):
    """The pooled bag, brought to the width of the genes."""

    def __init__(self, features: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.bag = PooledSlides(features, 2 * dim, dim, dropout)
        self.project = nn.Sequential(nn.Linear(2 * dim, dim), nn.ReLU())

    def forward(self, slides: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Bag (B, N, F) and mask (B, N) to the vector (B, d) and the weights (B, N)."""
        pooled, weights, _ = self.bag(slides, mask)
        return self.project(pooled), weights


class PORPOISE(nn.Module):
    """Two sides of one width, their gated outer product, head."""

    def __init__(self, inputs: Inputs, outputs: int, options: Options) -> None:
        super().__init__()
        dim, dropout = options.dim, options.dropout
        self.modalities = inputs.modalities
        genes = nn.Sequential(
            self_normalising(inputs.genes + inputs.aux, dim, dropout), self_normalising(dim, dim, dropout)
        )
        self.branches = nn.ModuleDict({"slides": Slides(inputs.slides, dim, dropout), "expression": genes})
        self.fuse = BilinearFusion(dim, options.narrow, dim, dropout)
        self.head = nn.Linear(dim, outputs)

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits (B, C), embedding (B, dim) and `attention["slides"]` (B, N)."""
        has_slides = presence(batch, self.modalities, "slides")[:, None]  # (B, 1)
        has_genes = presence(batch, self.modalities, "expression")[:, None]
        slide, weights = self.branches["slides"](batch.slides, batch.slides_mask & (has_slides > 0))
        gene = self.branches["expression"](genomic(batch))
        embedding = self.fuse(torch.cat([slide * has_slides, gene * has_genes], dim=1))
        logits = self.head(embedding)
        return ModelOutput(
            logits=logits,
            aux_loss=torch.zeros_like(logits[:, 0]),
            embedding=embedding,
            attention={"slides": weights},
        )


def build(inputs: Inputs, outputs: int, options: Options) -> PORPOISE:
    """The model for a study of slides and expression."""
    return PORPOISE(inputs, outputs, options)
