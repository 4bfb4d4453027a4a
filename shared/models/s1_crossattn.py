"""`s1_crossattn`: slides and tables ask one another (after arXiv 2503.02849, corrected and generalised).

The published model attends from image tokens to ONE gene token. A softmax over one key is 1, so its output does not
depend on the image at all; it is kept here as `fusion = "published"`, the failing control of the perturbation test.
Ours has a token a gene group, a residual on the query and both directions. Tokens of all tables (gene groups, blood,
images, clinical data) form one side, patches the other; with one side only, that side is pooled alone. The other
fusions are the rows of the ablation (SEEDS.md 2.3); `image_only` and `gene_only` leave the branches of the other side
out, so that they see the same patients as the rest.
"""

from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from shared.cohort.batch import Batch, ModelOutput
from shared.documents import Document, contradictions
from shared.models.about import About, Setting
from shared.models.attention import CrossAttentionBlock, GatedPool, MultiHeadAttention, SelfAttentionBlock, shares
from shared.models.branches import Tokens, branches_of, presence, replace_absent
from shared.models.inputs import Inputs

__all__ = ["ABOUT", "PRESETS", "Options", "S1CrossAttention", "build", "faults"]

ABOUT = About(summary="patches and tables ask one another (S1)", reference="after arXiv 2503.02849")
PRESETS = {"dp_small": {"dim": 48, "heads": 4}}


class Options(Document):
    """Width of the tokens, heads, dropout on tokens and in the head, and how the two sides meet."""

    dim: Annotated[int, Field(ge=1)] = 256
    heads: Annotated[int, Field(ge=1)] = 8
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25
    head_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    fusion: Literal[
        "cross_attn_bi", "cross_attn", "cross_attn_rev", "concat", "late", "image_only", "gene_only", "published"
    ] = "cross_attn_bi"

    @model_validator(mode="after")
    def _agrees(self) -> "Options":
        if self.dim % self.heads or self.dim % 2:
            got = f"{self.dim} and {self.heads}"
            contradictions([f"expected an even dim that heads divides, got {got}; write e.g. dim = 256, heads = 8"])
        return self


class Meeting(nn.Module):
    """Each pooled side may first ask the other one, through a residual; tables that are alone ask one another."""

    def __init__(self, dim: int, heads: int, pooled: tuple[str, ...], ask: bool) -> None:
        super().__init__()
        slides, tables = "slides" in pooled, "tables" in pooled
        self.patches_ask = CrossAttentionBlock(dim, heads) if ask and slides else None
        self.tables_ask = _asker(dim, heads, ask, alone=not slides) if tables else None
        self.pool_slides = GatedPool(dim, dim // 2) if slides else None
        self.pool_tables = GatedPool(dim, dim // 2) if tables else None

    def forward(self, patches: Tensor, mask: Tensor, tables: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Patches (B, N, d) with mask (B, N) and tables (B, T, d), to the pool (B, d) and its weights, by side."""
        pools: dict[str, Tensor] = {}
        weights: dict[str, Tensor] = {}
        if self.pool_slides is not None:
            answered = patches if self.patches_ask is None else self.patches_ask(patches, tables)
            pools["slides"], weights["slides"] = self.pool_slides(answered, mask)
        if self.pool_tables is not None:
            match self.tables_ask:
                case CrossAttentionBlock():
                    tables = self.tables_ask(tables, patches, mask)
                case SelfAttentionBlock():
                    tables = self.tables_ask(tables)
            pools["tables"], weights["tables"] = self.pool_tables(tables)
        return pools, weights


class Published(nn.Module):
    """The published fusion: one table token as the only key, no residual. A control: it is blind to the image."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.patches_ask = MultiHeadAttention(dim, heads)
        self.pool_slides = GatedPool(dim, dim // 2)

    def forward(self, patches: Tensor, mask: Tensor, tables: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Patches (B, N, d) with mask (B, N), tables (B, T, d), of which only the mean is seen."""
        pooled, weights = self.pool_slides(self.patches_ask(patches, tables.mean(dim=1, keepdim=True)), mask)
        return {"slides": pooled}, {"slides": weights}


class Late(nn.Module):
    """A layer and a head a side; embedding and logits are the means over the sides that are present, 0 with none."""

    def __init__(self, sides: tuple[str, ...], options: Options, outputs: int) -> None:
        super().__init__()
        self.project = nn.ModuleDict({side: _projection(options.dim, options) for side in sides})
        self.head = nn.ModuleDict({side: nn.Linear(options.dim, outputs) for side in sides})

    def forward(self, pools: dict[str, Tensor], here: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Pools (B, d) by side, presence (B,) by modality, to the embedding (B, d) and the logits (B, C)."""
        tables = torch.stack([present for name, present in here.items() if name != "slides"]).amax(dim=0)
        present = torch.stack([here["slides"], tables], dim=1)
        share = (present / present.sum(dim=1, keepdim=True).clamp(min=1))[:, None, :]  # (B, 1, 2)
        hidden = {side: self.project[side](pool) for side, pool in pools.items()}
        logits = [self.head[side](x) for side, x in hidden.items()]
        embedding = share @ torch.stack(list(hidden.values()), dim=1)
        return embedding.squeeze(1), (share @ torch.stack(logits, dim=1)).squeeze(1)


class S1CrossAttention(nn.Module):
    """Branches to tokens, absent tokens, fusion, head."""

    def __init__(self, inputs: Inputs, outputs: int, options: Options) -> None:
        super().__init__()
        self.modalities = inputs.modalities
        self.looks_at = _looks_at(inputs.modalities, options.fusion)
        self.groups = len(inputs.groups)
        self.dim = options.dim
        self.branches = branches_of(replace(inputs, modalities=self.looks_at), options.dim, options.dropout)
        self.absent = nn.ModuleDict({name: Tokens(1, options.dim) for name in self.looks_at})
        two = "slides" in self.looks_at and len(self.looks_at) > 1
        sides = _pooled(self.looks_at, options.fusion)
        self.fusion: nn.Module = (
            Published(options.dim, options.heads)
            if options.fusion == "published"
            else Meeting(options.dim, options.heads, sides, options.fusion.startswith("cross_attn") and two)
        )
        self.late = Late(sides, options, outputs) if options.fusion == "late" else None
        if self.late is None:
            self.project = _projection(len(sides) * options.dim, options)
            self.head = nn.Linear(options.dim, outputs)

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits (B, C) and embedding (B, dim).

        `attention`: what each pool that the fusion has gave to patches, "slides" (B, N), and to gene groups, "groups"
        (B, G).
        """
        here = {name: presence(batch, self.modalities, name) for name in self.looks_at}
        patches, mask = self._patches(batch, here)
        pools, weights = self.fusion(patches, mask, self._tables(batch, here))
        attention = {}
        if "slides" in weights:  # what the absent token took is not attention to a patch
            real = batch.slides_mask * here["slides"][:, None]
            attention["slides"] = weights["slides"][:, : real.shape[1]] * real
        if "tables" in weights and "expression" in here:  # the groups come first
            attention["groups"] = shares(weights["tables"][:, : self.groups]) * here["expression"][:, None]
        if self.late is not None:
            embedding, logits = self.late(pools, here)
        else:
            embedding = self.project(torch.cat(list(pools.values()), dim=1))
            logits = self.head(embedding)
        return ModelOutput(
            logits=logits, aux_loss=torch.zeros_like(logits[:, 0]), embedding=embedding, attention=attention
        )

    def _patches(self, batch: Batch, here: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, d) and mask (B, N); a patient without slides has the absent token in every place."""
        if "slides" not in here:
            return self._nothing(batch), batch.slides_mask
        tokens, mask = self.branches["slides"](batch), batch.slides_mask
        if not mask.shape[1]:  # nobody in the batch has a patch: make room for the absent token
            tokens, mask = functional.pad(tokens, (0, 0, 0, 1)), mask.new_zeros(mask.shape[0], 1)
        return replace_absent(tokens, here["slides"], self.absent["slides"]), mask | (here["slides"] == 0)[:, None]

    def _tables(self, batch: Batch, here: dict[str, Tensor]) -> Tensor:
        """The tokens of everything but slides, in the fixed order: (B, T, d)."""
        sides = [self._nothing(batch)]
        for name in self.looks_at:
            if name != "slides":
                sides.append(replace_absent(self.branches[name](batch), here[name], self.absent[name]))
        return torch.cat(sides, dim=1)

    def _nothing(self, batch: Batch) -> Tensor:
        return batch.present.new_zeros(batch.present.shape[0], 0, self.dim)


def _projection(width: int, options: Options) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, options.dim), nn.ReLU(), nn.Dropout(options.head_dropout))


def _looks_at(modalities: tuple[str, ...], fusion: str) -> tuple[str, ...]:
    """The modalities that the fusion sees at all."""
    sides = {"image_only": ("slides",), "gene_only": tuple(name for name in modalities if name != "slides")}
    return sides.get(fusion, modalities)


def _pooled(looks_at: tuple[str, ...], fusion: str) -> tuple[str, ...]:
    """The sides that the fusion pools."""
    if fusion in ("cross_attn", "published"):
        return ("slides",)
    if fusion == "cross_attn_rev":
        return ("tables",)
    slides, tables = "slides" in looks_at, looks_at != ("slides",)
    return (("slides",) if slides else ()) + (("tables",) if tables else ())


def _asker(dim: int, heads: int, ask: bool, alone: bool) -> CrossAttentionBlock | SelfAttentionBlock | None:
    """How the tables ask: the patches, one another where there are no patches, or nobody."""
    if ask:
        return CrossAttentionBlock(dim, heads)
    return SelfAttentionBlock(dim, heads) if alone else None


def faults(setting: Setting, options: Options) -> list[str]:
    """Every fusion but the first needs both sides, so that its row of an ablation means what it says."""
    if options.fusion != "cross_attn_bi" and ("slides" not in setting.modalities or len(setting.modalities) < 2):
        got = ", ".join(setting.modalities)
        return [f'fusion = "{options.fusion}": expected slides and a table, got {got}; choose fusion = "cross_attn_bi"']
    return []


def build(inputs: Inputs, outputs: int, options: Options) -> S1CrossAttention:
    """The model for a study with any modalities."""
    return S1CrossAttention(inputs, outputs, options)
