"""`survpath`: pathways and patches in one attention without patch-to-patch (Jaume et al. 2024, CVPR, SurvPath).

Pathways are the study's gene groups. The attention is the paper's equation 3: pathways look at pathways and patches,
patches at pathways only, which is linear in the number of patches. There is no residual around it, so with a single
gene group the patch side is constant and patches speak through the pathway side alone. What a patient lacks is no key
to anyone; without expression the pathways still ask the patches, all the same question.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from shared.cohort.batch import Batch, ModelOutput
from shared.documents import Document
from shared.models.about import About
from shared.models.attention import masked_softmax, shares
from shared.models.branches import masked_mean, presence
from shared.models.inputs import Inputs
from shared.models.self_normalising import GroupNetworks

__all__ = ["ABOUT", "PRESETS", "Options", "SurvPath", "build"]

ABOUT = About(
    summary="pathways and patches, no patch to patch",
    reference="Jaume et al. 2024, CVPR",
    takes=("slides", "expression"),
    needs=("slides", "expression"),
)


class Options(Document):
    """Width of the tokens (attention has half of it), dropout, and one second layer for all pathways."""

    dim: Annotated[int, Field(ge=4)] = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25
    shared_second: bool = True


PRESETS = {"dp_small": {"dim": 64}}


class PathwayAttention(nn.Module):
    """One head of half the width over pathways and patches."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.q, self.k, self.v = (nn.Linear(dim, dim // 2) for _ in range(3))

    def forward(self, tokens: Tensor, mask: Tensor, pathways: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pathways first, then patches (B, T, d), visible where `mask` (B, T) is True.

        Returns the mixed tokens (B, T, d/2), the weights of pathways on all (B, P, T) and of patches on pathways.
        """
        normed = self.norm(tokens)
        q, k, v = self.q(normed), self.k(normed), self.v(normed)
        scale = q.shape[-1] ** -0.5
        on_all = masked_softmax(q[:, :pathways] @ k.transpose(1, 2) * scale, mask[:, None, :])
        scores = q[:, pathways:] @ k[:, :pathways].transpose(1, 2) * scale
        on_pathways = masked_softmax(scores, mask[:, None, :pathways])
        return torch.cat([on_all @ v, on_pathways @ v[:, :pathways]], dim=1), on_all, on_pathways


class SurvPath(nn.Module):
    """Pathway tokens and patches, their attention, the mean of each side, head."""

    def __init__(self, inputs: Inputs, outputs: int, options: Options) -> None:
        super().__init__()
        dim, half, dropout = options.dim, options.dim // 2, options.dropout
        self.modalities = inputs.modalities
        self.groups = len(inputs.groups)
        pathways = GroupNetworks(inputs.groups, inputs.aux, dim, dropout, shared_second=options.shared_second)
        self.branches = nn.ModuleDict({"slides": nn.Linear(inputs.slides, dim), "expression": pathways})
        self.attention = PathwayAttention(dim)
        self.feed = nn.Sequential(
            nn.Linear(half, half), nn.GELU(), nn.Dropout(dropout), nn.Linear(half, half), nn.LayerNorm(half)
        )
        self.project = nn.Sequential(nn.Linear(2 * half, dim // 4), nn.ReLU())
        self.head = nn.Linear(dim // 4, outputs)

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits (B, C), embedding (B, dim / 4); `attention`: "slides" (B, N), "groups" (B, G).

        Both are what the pathways gave, on average: to patches, and to pathways.
        """
        has_slides = presence(batch, self.modalities, "slides")[:, None]  # (B, 1)
        has_genes = presence(batch, self.modalities, "expression")[:, None]
        pathways = self.branches["expression"](batch) * has_genes[:, :, None]
        patches = self.branches["slides"](batch.slides)
        count = pathways.shape[1]
        visible = batch.slides_mask & (has_slides > 0)
        mask = torch.cat([(has_genes > 0).expand(-1, count), visible], dim=1)
        mixed, on_all, _ = self.attention(torch.cat([pathways, patches], dim=1), mask, count)
        fed = self.feed(mixed)
        gene, slide = fed[:, :count].mean(dim=1), masked_mean(fed[:, count:], visible)
        embedding = self.project(torch.cat([gene, slide], dim=1))
        logits = self.head(embedding)
        given = on_all.mean(dim=1)  # (B, T)
        return ModelOutput(
            logits=logits,
            aux_loss=torch.zeros_like(logits[:, 0]),
            embedding=embedding,
            attention={"slides": shares(given[:, count:]), "groups": shares(given[:, : self.groups])},
        )


def build(inputs: Inputs, outputs: int, options: Options) -> SurvPath:
    """The model for a study of slides and expression."""
    return SurvPath(inputs, outputs, options)
