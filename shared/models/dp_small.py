"""`dp_small`: one vector a modality, side by side, through one hidden layer: few parameters for private training.

Noise is added to every coordinate of a gradient, so a model of d = 64 over frozen features loses least to it
(SEEDS.md section 6).
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from shared.cohort.batch import Batch, ModelOutput
from shared.documents import Document
from shared.models.about import About
from shared.models.branches import Tokens, branches_of, presence, replace_absent
from shared.models.inputs import Inputs
from shared.models.pooled_slides import PooledSlides

__all__ = ["ABOUT", "PRESETS", "DPSmall", "Options", "build"]

ABOUT = About(summary="one vector a modality, for private training", reference="ours")


class Options(Document):
    """Width, and dropout on the tokens."""

    dim: Annotated[int, Field(ge=2)] = 64
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25


PRESETS: dict[str, dict[str, int]] = {"dp_small": {}}  # small as it is


class DPSmall(nn.Module):
    """Patches pooled by gated attention, the mean of the gene groups, other tables as they are; one hidden layer."""

    def __init__(self, inputs: Inputs, outputs: int, options: Options) -> None:
        super().__init__()
        dim = options.dim
        self.modalities = inputs.modalities
        self.branches = branches_of(inputs, dim, options.dropout)
        if "slides" in inputs.modalities:
            self.branches["slides"] = PooledSlides(inputs.slides, dim, dim // 2, options.dropout)
        self.absent = nn.ModuleDict({name: Tokens(1, dim) for name in inputs.modalities})
        self.project = nn.Sequential(nn.Linear(len(inputs.modalities) * dim, dim), nn.ReLU())
        self.head = nn.Linear(dim, outputs)

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits (B, C), embedding (B, dim) and `attention["slides"]` (B, N)."""
        vectors, attention = [], {}
        for name in self.modalities:
            here = presence(batch, self.modalities, name)
            if name == "slides":
                mask = batch.slides_mask & (here > 0)[:, None]
                vector, attention["slides"], _ = self.branches[name](batch.slides, mask)
            else:
                vector = self.branches[name](batch).mean(dim=1)
            vectors.append(replace_absent(vector[:, None, :], here, self.absent[name]))
        embedding = self.project(torch.cat(vectors, dim=1).flatten(1))
        logits = self.head(embedding)
        return ModelOutput(
            logits=logits, aux_loss=torch.zeros_like(logits[:, 0]), embedding=embedding, attention=attention
        )


def build(inputs: Inputs, outputs: int, options: Options) -> DPSmall:
    """The model for a study with any modalities."""
    return DPSmall(inputs, outputs, options)
