"""`s1_crossattn`: slides and tables ask one another (after arXiv 2503.02849, corrected and generalised).

The published model attends from image tokens to ONE gene token. A softmax over one key is 1, so its output does not
depend on the image at all; it is kept here as `fusion = "published"`, the failing control of the perturbation test.
Ours has a token a gene group, a residual on the query and both directions. Tokens of all tables (gene groups, blood,
images, clinical data) form one side, patches the other; with one side only, that side is pooled alone.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from shared.cohort.batch import Batch, ModelOutput
from shared.documents import Document, contradictions
from shared.errors import StudyError
from shared.models.attention import CrossAttentionBlock, GatedPool, MultiHeadAttention, SelfAttentionBlock
from shared.models.branches import Tokens, branches_of, presence, replace_absent
from shared.models.inputs import Inputs

__all__ = ["Options", "S1CrossAttention", "build"]


class Options(Document):
    """Width of the tokens, heads, dropout on tokens and in the head, and how the two sides meet."""

    dim: Annotated[int, Field(ge=1)] = 256
    heads: Annotated[int, Field(ge=1)] = 8
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25
    head_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    fusion: Literal["cross_attn_bi", "published"] = "cross_attn_bi"

    @model_validator(mode="after")
    def _agrees(self) -> "Options":
        if self.dim % self.heads or self.dim % 2:
            got = f"{self.dim} and {self.heads}"
            contradictions([f"expected an even dim that heads divides, got {got}; write e.g. dim = 256, heads = 8"])
        return self


class BothWays(nn.Module):
    """Patches ask the tables, tables ask the patches; both are pooled: (B, 2 dim)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.width = 2 * dim
        self.patches_ask = CrossAttentionBlock(dim, heads)
        self.tables_ask = CrossAttentionBlock(dim, heads)
        self.pool_slides = GatedPool(dim, dim // 2)
        self.pool_tables = GatedPool(dim, dim // 2)

    def forward(self, patches: Tensor, mask: Tensor, tables: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Patches (B, N, d) with mask (B, N), tables (B, T, d)."""
        slides, over_patches = self.pool_slides(self.patches_ask(patches, tables), mask)
        table, over_tables = self.pool_tables(self.tables_ask(tables, patches, mask))
        return torch.cat([slides, table], dim=1), {"slides": over_patches, "tables": over_tables}


class TablesAlone(nn.Module):
    """A study without slides: tables ask one another and are pooled: (B, dim)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.width = dim
        self.tables_ask = SelfAttentionBlock(dim, heads)
        self.pool_tables = GatedPool(dim, dim // 2)

    def forward(self, patches: Tensor, mask: Tensor, tables: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Tables (B, T, d); there are no patches."""
        pooled, weights = self.pool_tables(self.tables_ask(tables))
        return pooled, {"tables": weights}


class SlidesAlone(nn.Module):
    """A study of slides only: the bag is pooled: (B, dim)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.width = dim
        self.pool_slides = GatedPool(dim, dim // 2)

    def forward(self, patches: Tensor, mask: Tensor, tables: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Patches (B, N, d) with mask (B, N); there are no tables."""
        pooled, weights = self.pool_slides(patches, mask)
        return pooled, {"slides": weights}


class Published(nn.Module):
    """The published fusion: one table token as the only key, no residual. A control: it is blind to the image."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.width = dim
        self.patches_ask = MultiHeadAttention(dim, heads)
        self.pool_slides = GatedPool(dim, dim // 2)

    def forward(self, patches: Tensor, mask: Tensor, tables: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Patches (B, N, d) with mask (B, N), tables (B, T, d), of which only the mean is seen."""
        pooled, weights = self.pool_slides(self.patches_ask(patches, tables.mean(dim=1, keepdim=True)), mask)
        return pooled, {"slides": weights}


class S1CrossAttention(nn.Module):
    """Branches to tokens, absent tokens, fusion, head."""

    def __init__(self, inputs: Inputs, outputs: int, options: Options) -> None:
        super().__init__()
        self.modalities = inputs.modalities
        self.branches = branches_of(inputs, options.dim, options.dropout)
        self.absent = nn.ModuleDict({name: Tokens(1, options.dim) for name in inputs.modalities})
        self.fusion = _fusion(inputs, options)
        self.project = nn.Sequential(
            nn.Linear(self.fusion.width, options.dim), nn.ReLU(), nn.Dropout(options.head_dropout)
        )
        self.head = nn.Linear(options.dim, outputs)

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits (B, C), embedding (B, dim); `attention`: weights of the pools over patches (B, N), tables (B, T)."""
        patches, mask = self._patches(batch)
        pooled, attention = self.fusion(patches, mask, self._tables(batch))
        if "slides" in attention:  # what the absent token took is not attention to a patch
            real = batch.slides_mask
            attention["slides"] = attention["slides"][:, : real.shape[1]] * real
        embedding = self.project(pooled)
        logits = self.head(embedding)
        return ModelOutput(
            logits=logits, aux_loss=torch.zeros_like(logits[:, 0]), embedding=embedding, attention=attention
        )

    def _patches(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, d) and mask (B, N); a patient without slides has the absent token in every place."""
        if "slides" not in self.modalities:
            return self._nothing(batch), batch.slides_mask
        tokens, mask = self.branches["slides"](batch), batch.slides_mask
        if not mask.shape[1]:  # nobody in the batch has a patch: make room for the absent token
            tokens, mask = functional.pad(tokens, (0, 0, 0, 1)), mask.new_zeros(mask.shape[0], 1)
        here = presence(batch, self.modalities, "slides")
        return replace_absent(tokens, here, self.absent["slides"]), mask | (here == 0)[:, None]

    def _tables(self, batch: Batch) -> Tensor:
        """The tokens of everything but slides, in the fixed order: (B, T, d)."""
        sides = [self._nothing(batch)]
        for name in self.modalities:
            if name != "slides":
                here = presence(batch, self.modalities, name)
                sides.append(replace_absent(self.branches[name](batch), here, self.absent[name]))
        return torch.cat(sides, dim=1)

    def _nothing(self, batch: Batch) -> Tensor:
        return batch.present.new_zeros(batch.present.shape[0], 0, self.head.in_features)


def _fusion(inputs: Inputs, options: Options) -> BothWays | TablesAlone | SlidesAlone | Published:
    slides, tables = "slides" in inputs.modalities, inputs.modalities != ("slides",)
    if options.fusion == "published":
        if not (slides and tables):
            got = ", ".join(inputs.modalities)
            raise StudyError(
                f'fusion = "published": expected slides and a table, got {got}; choose fusion = "cross_attn_bi"'
            )
        return Published(options.dim, options.heads)
    if slides and tables:
        return BothWays(options.dim, options.heads)
    return TablesAlone(options.dim, options.heads) if tables else SlidesAlone(options.dim)


def build(inputs: Inputs, outputs: int, options: Options) -> S1CrossAttention:
    """The model for a study with any modalities; StudyError if the published fusion is asked for one side only."""
    return S1CrossAttention(inputs, outputs, options)
