"""`abmil`: gated attention over the patches of a patient (Ilse, Tomczak and Welling 2018, eq. 9). Slides only."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from shared.cohort.batch import Batch, ModelOutput
from shared.documents import Document
from shared.models.about import About
from shared.models.attention import GatedPool
from shared.models.branches import presence
from shared.models.inputs import Inputs

__all__ = ["ABMIL", "ABOUT", "PRESETS", "Options", "build"]

ABOUT = About(
    summary="gated attention over the patches",
    reference="Ilse, Tomczak and Welling 2018, ICML",
    takes=("slides",),
    needs=("slides",),
)


class Options(Document):
    """Width of the tokens, and dropout on the patches."""

    dim: Annotated[int, Field(ge=1)] = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25


PRESETS = {"dp_small": {"dim": 64}}


class ProjectedSlides(nn.Module):
    """Encode the patches, pool them, project the pool."""

    def __init__(self, features: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(features, dim), nn.ReLU(), nn.Dropout(dropout))
        self.pool = GatedPool(dim, dim)
        self.project = nn.Sequential(nn.Linear(dim, dim), nn.ReLU())

    def forward(self, slides: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Bag (B, N, F) and mask (B, N) to the embedding (B, d) and the weights (B, N); an empty bag pools to 0."""
        pooled, weights = self.pool(self.encoder(slides), mask)
        return self.project(pooled), weights


class ABMIL(nn.Module):
    """A patient is the weighted mean of patches.

    Without slides the embedding is 0, so that such a patient is predicted by the head's bias and teaches only that.
    """

    def __init__(self, inputs: Inputs, outputs: int, options: Options) -> None:
        super().__init__()
        self.modalities = inputs.modalities
        self.branches = nn.ModuleDict({"slides": ProjectedSlides(inputs.slides, options.dim, options.dropout)})
        self.head = nn.Linear(options.dim, outputs)

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits (B, C), embedding (B, dim) and `attention["slides"]` (B, N), which adds up to 1 over a bag."""
        here = presence(batch, self.modalities, "slides")[:, None]  # (B, 1)
        projected, weights = self.branches["slides"](batch.slides, batch.slides_mask & (here > 0))
        embedding = here * projected
        logits = self.head(embedding)
        return ModelOutput(
            logits=logits,
            aux_loss=torch.zeros_like(logits[:, 0]),
            embedding=embedding,
            attention={"slides": weights},
        )


def build(inputs: Inputs, outputs: int, options: Options) -> ABMIL:
    """The model for a study of slides."""
    return ABMIL(inputs, outputs, options)
