"""`umeml`: prototypes, modularity and one decoder for slides and genes (S3, arXiv 2406.07078; layers of SEEDS.md 4.2).

Patches are gathered by a few learned prototypes, gene groups become one token each, and both sides meet in a decoder
with register tokens; the class token of each side is read out. Training adds gamma times the modularity loss (SEEDS.md
4.3): patches that look alike should belong to the same prototype, and to the same gene group. Attention is the plain
softmax, since the published Nystrom form couples the patients of a batch.

Slides and expression each have a branch of their own, whose output is replaced by an absent token where a patient has
none. `blood`, `imaging` and `clinical` enter by the house rule, one token each, behind the genomic tokens of the
decoder; where there is no expression they are the genomic side. Every modality is read out: slides and expression at
their class token, the others at their one token.
"""

from dataclasses import replace
from itertools import accumulate
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from shared.cohort.batch import Batch, ModelOutput
from shared.documents import Document, contradictions
from shared.models.about import About, Setting
from shared.models.attention import SelfAttentionBlock, shares
from shared.models.bilinear_fusion import BilinearFusion
from shared.models.branches import ExpressionBranch, Tokens, branches_of, presence, replace_absent
from shared.models.inputs import Inputs
from shared.models.modularity import assignments, cause_modularity, paper_modularity, unit_features
from shared.models.prototypes import OnePool, Prototypes, drawn_tokens
from shared.models.self_normalising import genomic

__all__ = ["ABOUT", "PRESETS", "UMEML", "Options", "build", "faults"]

ABOUT = About(
    summary="prototypes, modularity and one decoder for slides and genes (S3)", reference="after arXiv 2406.07078"
)
PRESETS = {"dp_small": {"dim": 32, "heads": 4}}
LAYERS_OF_SLIDES, LAYERS_OF_GENES, LAYERS_OF_DECODER = 1, 3, 2
SCALE_OF_BILINEAR = 8
SIDES = ("slides", "expression")  # the modalities with a branch of this model; the others have the house token


class Options(Document):
    """Widths, and every choice of the ablation.

    `modularity` is the printed formula, the released code's, or off; `alpha` and `beta` weigh its slide and its gene
    term, `gamma` their sum, and `genomic_cls` counts the genomic class token among the gene tokens. `prototypes = 0`
    pools the patches instead. `grouping = "chunks"` cuts the sorted vocabulary into `chunks` equal parts, as many as
    there are gene groups if 0. `absent = "mask"` hides a missing modality instead of giving it a learned token.
    `block` bounds the memory of the modularity, nothing else.
    """

    dim: Annotated[int, Field(ge=1)] = 256
    heads: Annotated[int, Field(ge=1)] = 8
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25
    prototypes: Annotated[int, Field(ge=0)] = 5
    registers: Annotated[int, Field(ge=0)] = 3
    decoder: bool = True
    modularity: Literal["paper", "cause", "off"] = "paper"
    gamma: Annotated[float, Field(ge=0)] = 5.0
    alpha: Annotated[float, Field(ge=0)] = 1.0
    beta: Annotated[float, Field(ge=0)] = 1.0
    genomic_cls: bool = False
    grouping: Literal["groups", "chunks"] = "groups"
    chunks: Annotated[int, Field(ge=0)] = 0
    fuse: Literal["concat", "gated_bilinear", "late"] = "concat"
    absent: Literal["token", "mask"] = "token"
    block: Annotated[int, Field(ge=1)] = 256

    @model_validator(mode="after")
    def _agrees(self) -> "Options":
        faults = []
        if self.dim % self.heads or self.dim % 2:
            got = f"{self.dim} and {self.heads}"
            faults.append(f"expected an even dim that heads divides, got {got}; write e.g. dim = 256, heads = 8")
        if self.chunks and self.grouping == "groups":
            faults.append(f'expected chunks = 0 with grouping = "groups", got {self.chunks}; write grouping = "chunks"')
        if self.fuse == "gated_bilinear" and self.dim < SCALE_OF_BILINEAR:
            least = SCALE_OF_BILINEAR  # or nothing would be left of a side
            faults.append(f'expected a dim of at least {least} with fuse = "gated_bilinear", got {self.dim}; raise it')
        contradictions(faults)
        return self


class SlideSide(nn.Module):
    """Patches to prototypes to tokens: the class token and one a prototype."""

    def __init__(self, features: int, options: Options) -> None:
        super().__init__()
        dim, count = options.dim, options.prototypes
        self.net = nn.Sequential(nn.Linear(features, dim), nn.ReLU(), nn.Dropout(options.dropout))
        self.gather = Prototypes(count, dim) if count else OnePool(dim)
        self.cls = drawn_tokens(1, dim, 0, 1)
        self.encoder = Encoder(dim, options.heads, LAYERS_OF_SLIDES)

    def forward(self, slides: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Bag (B, N, F) and mask (B, N) to four tensors.

        The tokens (B, 1 + P, d), the patches (B, N, d), the prototypes after clustering (B, P, d), and the weight of
        each patch (B, N): what it gave to each prototype, times what the class token asked of that prototype.
        """
        patches = self.net(slides)
        gathered, given = self.gather(patches, mask)
        tokens, asked = self.encoder(torch.cat([self.cls(patches), gathered], dim=1))
        return tokens, patches, gathered, (shares(asked[:, 1:])[:, None, :] @ given).squeeze(1)


class GeneSide(nn.Module):
    """Genes to tokens: the class token, one a gene group, and one for all genes with mutations and copy number."""

    def __init__(self, inputs: Inputs, options: Options) -> None:
        super().__init__()
        dim = options.dim
        self.groups = ExpressionBranch(_groups(inputs, options), 0, dim, options.dropout)
        self.whole = nn.Sequential(nn.Linear(inputs.genes + inputs.aux, dim), nn.ReLU())
        self.cls = drawn_tokens(1, dim, 0, 1)
        self.encoder = Encoder(dim, options.heads, LAYERS_OF_GENES)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The tokens (B, 1 + G + 1, d), and how much the class token asked each group (B, G)."""
        genes = genomic(batch)
        parts = [self.cls(genes), self.groups(batch), self.whole(genes)[:, None, :]]
        tokens, asked = self.encoder(torch.cat(parts, dim=1))
        return tokens, shares(asked[:, 1:-1])


class Encoder(nn.Module):
    """Self-attention blocks and a LayerNorm, which also tell what the first token asked."""

    def __init__(self, dim: int, heads: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(SelfAttentionBlock(dim, heads) for _ in range(layers - 1)))
        self.last = SelfAttentionBlock(dim, heads)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, d), and the weights (B, T) of the first in the last block, as the mean over its heads."""
        x, weights = self.last.weigh(self.layers(x))
        return self.norm(x), weights[:, :, 0].mean(dim=1)


class Together(nn.Module):
    """All that was read out as one: side by side through two layers, or two of them by their gated outer product."""

    def __init__(self, sides: int, dim: int, outputs: int, bilinear: bool) -> None:
        super().__init__()
        self.fuse: nn.Module = (
            BilinearFusion(dim, dim // SCALE_OF_BILINEAR, dim, 0.0)
            if bilinear
            else nn.Sequential(nn.Linear(sides * dim, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU())
        )
        self.head = nn.Linear(dim, outputs)

    def forward(self, sides: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """What was read out (B, M, d), to the embedding (B, d) and the logits (B, C)."""
        embedding = self.fuse(sides.flatten(1))
        return embedding, self.head(embedding)


class Late(nn.Module):
    """A head a modality; embedding and logits are the means over those that are present, 0 where none is."""

    def __init__(self, sides: int, dim: int, outputs: int) -> None:
        super().__init__()
        self.fuse = nn.ModuleList(nn.Sequential(nn.Linear(dim, dim), nn.ReLU()) for _ in range(sides))
        self.head = nn.ModuleList(nn.Linear(dim, outputs) for _ in range(sides))

    def forward(self, sides: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Embedding (B, d) and logits (B, C) of what was read out (B, M, d) where `present` (B, M) is 1."""
        share = (present / present.sum(dim=1, keepdim=True).clamp(min=1))[:, None, :]  # (B, 1, M)
        hidden = [fuse(side) for fuse, side in zip(self.fuse, sides.unbind(dim=1), strict=True)]
        logits = [head(side) for head, side in zip(self.head, hidden, strict=True)]
        return (share @ torch.stack(hidden, dim=1)).squeeze(1), (share @ torch.stack(logits, dim=1)).squeeze(1)


class UMEML(nn.Module):
    """A branch a modality, absent tokens, decoder with registers, readout and head."""

    def __init__(self, inputs: Inputs, outputs: int, options: Options) -> None:
        super().__init__()
        dim, use = options.dim, inputs.modalities
        self.modalities, self.options = use, options
        self.branches = branches_of(
            replace(inputs, modalities=tuple(name for name in use if name not in SIDES)), dim, 0.0
        )
        if "slides" in use:
            self.branches["slides"] = SlideSide(inputs.slides, options)
        if "expression" in use:
            self.branches["expression"] = GeneSide(inputs, options)
        self.absent = nn.ModuleDict({name: Tokens(1, dim) for name in use if options.absent == "token"})
        self.registers = drawn_tokens(options.registers, dim, 0, 1) if options.decoder and options.registers else None
        self.decoder = nn.ModuleList(
            SelfAttentionBlock(dim, options.heads) for _ in range(LAYERS_OF_DECODER if options.decoder else 0)
        )
        self.readout = (
            Late(len(use), dim, outputs)
            if options.fuse == "late"
            else Together(len(use), dim, outputs, options.fuse == "gated_bilinear")
        )

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits (B, C), embedding (B, dim) and gamma times the modularity loss (B,).

        `attention`: "slides" (B, N), what a patch gave to each prototype times what the class token asked of that;
        "prototypes" (B, P, N), S^p, the cosine of prototype and patch, 0 where negative; "groups" (B, G), what the
        genomic class token asked of each gene group.
        """
        here = {name: presence(batch, self.modalities, name) for name in self.modalities}
        tokens: dict[str, Tensor] = {}
        attention: dict[str, Tensor] = {}
        families: dict[str, Tensor] = {}  # S^p and S^g
        unit = batch.slides
        for name in self.modalities:
            branch = self.branches[name]
            if name == "slides":
                mask = batch.slides_mask & (here[name] > 0)[:, None]
                tokens[name], patches, gathered, attention[name] = branch(batch.slides, mask)
                unit = unit_features(patches, mask)
                if self.options.prototypes:
                    families[name] = attention["prototypes"] = assignments(gathered, unit)
            elif name == "expression":
                tokens[name], asked = branch(batch)
                if self.options.grouping == "groups":
                    attention["groups"] = asked * here[name][:, None]
                if "slides" in here:
                    families[name] = assignments(tokens[name][:, 0 if self.options.genomic_cls else 1 :], unit)
            else:
                tokens[name] = branch(batch)
        embedding, logits = self.readout(self._decode(tokens, here), torch.stack(list(here.values()), dim=1))
        return ModelOutput(
            logits=logits,
            aux_loss=self._modularity_loss(unit, families, here),
            embedding=embedding,
            attention=attention,
        )

    def _modularity_loss(self, unit: Tensor, families: dict[str, Tensor], here: dict[str, Tensor]) -> Tensor:
        """-gamma (alpha Tr(W S^pT S^p) + beta Tr(W S^gT S^g)) / s, a term where both of its sides are present: (B,)."""
        options, loss = self.options, torch.zeros_like(next(iter(here.values())))
        if not families or options.modularity == "off" or options.gamma == 0:
            return loss
        form = paper_modularity if options.modularity == "paper" else cause_modularity
        weights = {"slides": options.alpha, "expression": options.beta}
        for name, found in zip(families, form(unit, list(families.values()), options.block), strict=True):
            loss = loss - options.gamma * weights[name] * here["slides"] * here[name] * found
        return loss

    def _decode(self, tokens: dict[str, Tensor], here: dict[str, Tensor]) -> Tensor:
        """The first token of each modality, once all tokens and the registers have seen one another: (B, M, d)."""
        if self.options.absent == "token":
            parts = {name: replace_absent(tokens[name], here[name], self.absent[name]) for name in tokens}
        else:
            parts = {name: tokens[name] * here[name][:, None, None] for name in tokens}
        order = list(parts)
        if self.registers is not None:  # they stand behind the path tokens
            parts["registers"] = self.registers(next(iter(here.values())))
            order.insert(1 if "slides" in parts else 0, "registers")
        sequence = torch.cat([parts[name] for name in order], dim=1)
        visible = None
        if self.options.absent == "mask":
            seen = {"registers": torch.ones_like(next(iter(here.values()))), **here}
            visible = torch.cat([(seen[name] > 0)[:, None].expand(parts[name].shape[:2]) for name in order], dim=1)
        for layer in self.decoder:
            sequence = layer(sequence, visible)
        starts = dict(zip(order, accumulate([0, *(parts[name].shape[1] for name in order)]), strict=False))
        read = torch.stack([sequence[:, starts[name]] for name in tokens], dim=1)
        return read if visible is None else read * torch.stack(list(here.values()), dim=1)[:, :, None]


def _groups(inputs: Inputs, options: Options) -> tuple[tuple[int, ...], ...]:
    """The gene groups, or equal parts of the sorted vocabulary (the first ones a gene longer where it must be)."""
    if options.grouping == "groups":
        return inputs.groups
    count = min(options.chunks or len(inputs.groups), inputs.genes)
    return tuple(tuple(part.tolist()) for part in np.array_split(np.arange(inputs.genes), count))


def faults(setting: Setting, options: Options) -> list[str]:
    """The bilinear fusion joins two modalities, no more and no less."""
    if options.fuse == "gated_bilinear" and len(setting.modalities) != 2:
        got = ", ".join(setting.modalities)
        return [f'fuse = "gated_bilinear": expected two modalities, got {got}; choose fuse = "concat"']
    return []


def build(inputs: Inputs, outputs: int, options: Options) -> UMEML:
    """The model for a study with any modalities."""
    return UMEML(inputs, outputs, options)
