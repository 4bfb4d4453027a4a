"""`late`: a model for each modality, and the mean of their logits over what a patient has.

Every modality's model lies in its branch, its head included, so that a hospital with one modality trains a whole one.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from shared.cohort.batch import Batch, ModelOutput
from shared.documents import Document
from shared.models.about import About
from shared.models.attention import GatedPool, masked_softmax, shares
from shared.models.branches import Tokens, branches_of, presence
from shared.models.inputs import Inputs

__all__ = ["ABOUT", "PRESETS", "Late", "Options", "build"]

ABOUT = About(summary="mean of one model a modality", reference="late fusion, no single source")


class Options(Document):
    """Width, dropout, and whether modalities count alike or by learned weights."""

    dim: Annotated[int, Field(ge=2)] = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25
    weights: Literal["mean", "learned"] = "mean"


PRESETS = {"dp_small": {"dim": 64}}


class Unimodal(nn.Module):
    """The usual branch of a modality, gated attention pooling where it gives several tokens, a head."""

    def __init__(self, inputs: Inputs, name: str, outputs: int, options: Options) -> None:
        super().__init__()
        self.slides = name == "slides"
        self.encode = branches_of(inputs, options.dim, options.dropout)[name]
        several = self.slides or name == "expression"
        self.pool = GatedPool(options.dim, options.dim // 2) if several else None
        self.head = nn.Linear(options.dim, outputs)

    def forward(self, batch: Batch, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B, C), embedding (B, d) and the weights of the tokens (B, T), of which an absent modality has none.

        `present` is (B,).
        """
        tokens = self.encode(batch)
        there = (present > 0)[:, None]  # (B, 1)
        if self.pool is None:
            return self.head(tokens[:, 0]), tokens[:, 0], there.to(tokens.dtype)
        mask = batch.slides_mask & there if self.slides else there.expand(tokens.shape[:2])
        pooled, weights = self.pool(tokens, mask)
        return self.head(pooled), pooled, weights


class Late(nn.Module):
    """Unimodal logits, weighted; a patient without anything has logits 0."""

    def __init__(self, inputs: Inputs, outputs: int, options: Options) -> None:
        super().__init__()
        self.modalities = inputs.modalities
        self.groups = len(inputs.groups)
        self.branches = nn.ModuleDict({name: Unimodal(inputs, name, outputs, options) for name in inputs.modalities})
        self.scores = Tokens(len(inputs.modalities), 1) if options.weights == "learned" else None

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits (B, C), embedding (B, dim); `attention`: "modalities" (B, M), "slides" (B, N), "groups" (B, G)."""
        here = torch.stack([presence(batch, self.modalities, name) for name in self.modalities], dim=1)  # (B, M)
        share = shares(here) if self.scores is None else masked_softmax(self.scores(here).squeeze(2), here > 0)
        logits = embedding = share.new_zeros(())
        attention = {"modalities": share}
        for i, name in enumerate(self.modalities):
            own, vector, weights = self.branches[name](batch, here[:, i])
            logits = logits + share[:, i, None] * own
            embedding = embedding + share[:, i, None] * vector
            if name == "slides":
                attention["slides"] = weights
            elif name == "expression":
                attention["groups"] = shares(weights[:, : self.groups])
        return ModelOutput(
            logits=logits, aux_loss=torch.zeros_like(logits[:, 0]), embedding=embedding, attention=attention
        )


def build(inputs: Inputs, outputs: int, options: Options) -> Late:
    """The model for a study with any modalities."""
    return Late(inputs, outputs, options)
