"""`snn`: a self-normalising network on gene values (Klambauer et al. 2017, NeurIPS). Expression only.

Four layers with ELU and AlphaDropout, as MCAT's comparison has them (Chen et al. 2021, ICCV); its L1 penalty on these
weights is left to the optimizer's weight decay.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from shared.cohort.batch import Batch, ModelOutput
from shared.documents import Document
from shared.models.about import About
from shared.models.branches import presence
from shared.models.inputs import Inputs
from shared.models.self_normalising import genomic, self_normalising

__all__ = ["ABOUT", "PRESETS", "SNN", "Options", "build"]

ABOUT = About(
    summary="self-normalising network on genes",
    reference="Klambauer et al. 2017, NeurIPS",
    takes=("expression",),
    needs=("expression",),
)


class Options(Document):
    """Width of the layers, and dropout after each."""

    dim: Annotated[int, Field(ge=1)] = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25


PRESETS = {"dp_small": {"dim": 64}}


class SNN(nn.Module):
    """Genes, mutations and copy number through four layers; without them the head's bias decides."""

    def __init__(self, inputs: Inputs, outputs: int, options: Options) -> None:
        super().__init__()
        self.modalities = inputs.modalities
        widths = (inputs.genes + inputs.aux, *(options.dim,) * 3)
        layers = nn.Sequential(*(self_normalising(width, options.dim, options.dropout) for width in widths))
        self.branches = nn.ModuleDict({"expression": layers})
        self.head = nn.Linear(options.dim, outputs)

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits (B, C) and embedding (B, dim); no attention."""
        embedding = presence(batch, self.modalities, "expression")[:, None] * self.branches["expression"](
            genomic(batch)
        )
        logits = self.head(embedding)
        return ModelOutput(logits=logits, aux_loss=torch.zeros_like(logits[:, 0]), embedding=embedding, attention={})


def build(inputs: Inputs, outputs: int, options: Options) -> SNN:
    """The model for a study of expression."""
    return SNN(inputs, outputs, options)
