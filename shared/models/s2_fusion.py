"""`s2_fusion`: a token a modality, read by a class token (after S2, J Bone Oncol 55:100718, 2025; layers are ours).

Slides, clinical images and blood (numbers, or the text feature of their description) are one token each; gene groups
and clinical columns may stand beside them. `transformer` lets all tokens look at one another; `gated_concat` lets
every modality be damped by a gate that sees all of them (Arevalo et al. 2017, eq. 1, for several modalities).
"""

from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from shared.cohort.batch import Batch, ModelOutput
from shared.documents import Document, contradictions
from shared.models.about import About
from shared.models.attention import SelfAttentionBlock, shares
from shared.models.branches import Tokens, branches_of, observed, presence, replace_absent
from shared.models.inputs import Inputs
from shared.models.pooled_slides import PooledSlides

__all__ = ["ABOUT", "PRESETS", "Options", "S2Fusion", "build"]

ABOUT = About(summary="a token a modality, read by a class token (S2)", reference="after J Bone Oncol 2025, 55:100718")


class Options(Document):
    """Width, heads, dropout on the tokens, how tokens meet, and what stands for an absent modality.

    `absent = "token"` puts a learned token in its place; `"mask"` hides it, in the transformer only.
    """

    dim: Annotated[int, Field(ge=2)] = 256
    heads: Annotated[int, Field(ge=1)] = 8
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25
    fusion: Literal["transformer", "gated_concat"] = "transformer"
    absent: Literal["token", "mask"] = "token"

    @model_validator(mode="after")
    def _agrees(self) -> "Options":
        faults = []
        if self.dim % self.heads:
            got = f"{self.dim} and {self.heads}"
            faults.append(f"expected a dim that heads divides, got {got}; write e.g. dim = 256, heads = 8")
        if self.absent == "mask" and self.fusion != "transformer":
            faults.append(f'expected absent = "token" with {self.fusion}, got "mask"; write fusion = "transformer"')
        contradictions(faults)
        return self


PRESETS = {"dp_small": {"dim": 48}}


class SlideToken(nn.Module):
    """The pooled bag, normalised."""

    def __init__(self, features: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.bag = PooledSlides(features, dim, dim // 2, dropout)
        self.norm = nn.LayerNorm(dim)

    def forward(self, slides: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Bag (B, N, F) and mask (B, N) to the token (B, 1, d) and the weights (B, N)."""
        pooled, weights, _ = self.bag(slides, mask)
        return self.norm(pooled)[:, None, :], weights


class TextToken(nn.Module):
    """The feature of the description of blood results: linear, LayerNorm. It is observed as a whole or not at all."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(width, dim), nn.LayerNorm(dim))

    def forward(self, batch: Batch) -> Tensor:
        """The text as (B, 1, d)."""
        token: Tensor = self.encoder(observed(batch.blood, batch.blood_observed))
        return token[:, None, :]


class Block(nn.Module):
    """Self-attention, then x + Lin(GELU(Lin(LN(x)))) with 2 d hidden."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attend = SelfAttentionBlock(dim, heads)
        self.feed = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, T, d), visible where `mask` (B, T) is True; returns them and the weights (B, H, T, T)."""
        x, weights = self.attend.weigh(x, mask)
        return x + self.feed(x), weights


class Transformer(nn.Module):
    """A class token before the others, two blocks, LayerNorm; the class token is read."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.cls = Tokens(1, dim)
        self.first = Block(dim, heads)
        self.second = Block(dim, heads)
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: list[Tensor], mask: Tensor) -> tuple[Tensor, Tensor]:
        """One (B, T_i, d) a modality, visible where `mask` (B, sum of T_i) is True; returns (B, d) and weights of all.

        The weights (B, sum of T_i) are the class token's in the last block, mean over heads.
        """
        x = torch.cat([self.cls(tokens[0]), *tokens], dim=1)
        visible = torch.cat([mask.new_ones(mask.shape[0], 1), mask], dim=1)
        x, _ = self.first(x, visible)
        x, weights = self.second(x, visible)
        return self.norm(x[:, 0]), weights[:, :, 0, 1:].mean(dim=1)


class GatedConcat(nn.Module):
    """tanh of each modality times a gate that sees all of them, side by side, one hidden layer."""

    def __init__(self, modalities: int, dim: int) -> None:
        super().__init__()
        self.contents = nn.ModuleList(nn.Linear(dim, dim) for _ in range(modalities))
        self.gates = nn.ModuleList(nn.Linear(modalities * dim, dim) for _ in range(modalities))
        self.project = nn.Sequential(nn.Linear(modalities * dim, dim), nn.ReLU())

    def forward(self, tokens: list[Tensor], mask: Tensor) -> tuple[Tensor, Tensor]:
        """One (B, T_i, d) a modality, of which the mean counts; returns (B, d) and the mean gate of every token."""
        means = [group.mean(dim=1) for group in tokens]
        everything = torch.cat(means, dim=1)
        gates = [torch.sigmoid(gate(everything)) for gate in self.gates]
        gated = [g * torch.tanh(content(mean)) for g, content, mean in zip(gates, self.contents, means, strict=True)]
        spread = [
            gate.mean(dim=1, keepdim=True).expand(-1, group.shape[1]) / group.shape[1]
            for gate, group in zip(gates, tokens, strict=True)
        ]
        return self.project(torch.cat(gated, dim=1)), torch.cat(spread, dim=1)


class S2Fusion(nn.Module):
    """Branches to tokens, absent tokens, fusion, head."""

    def __init__(self, inputs: Inputs, outputs: int, options: Options) -> None:
        super().__init__()
        dim = options.dim
        self.modalities = inputs.modalities
        self.groups = len(inputs.groups)
        self.branches = branches_of(inputs, dim, options.dropout)
        if "slides" in inputs.modalities:
            self.branches["slides"] = SlideToken(inputs.slides, dim, options.dropout)
        if inputs.blood_text:
            self.branches["blood"] = TextToken(inputs.blood, dim)
        names = inputs.modalities if options.absent == "token" else ()
        self.absent = nn.ModuleDict({name: Tokens(1, dim) for name in names})
        self.fusion: nn.Module
        if options.fusion == "transformer":
            self.fusion = Transformer(dim, options.heads)
        else:
            self.fusion = GatedConcat(len(inputs.modalities), dim)
        self.head = nn.Linear(dim, outputs)

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits (B, C), embedding (B, dim); `attention`: "modalities" (B, M), "slides" (B, N), "groups" (B, G)."""
        tokens, visible, attention = [], [], {}
        here = {name: presence(batch, self.modalities, name) for name in self.modalities}
        for name, present in here.items():
            if name == "slides":
                mask = batch.slides_mask & (present > 0)[:, None]
                own, attention["slides"] = self.branches[name](batch.slides, mask)
            else:
                own = self.branches[name](batch)
            seen = torch.ones_like(present) if self.absent else present
            own = replace_absent(own, present, self.absent[name]) if self.absent else own * present[:, None, None]
            tokens.append(own)
            visible.append(seen[:, None].expand(own.shape[:2]))
        embedding, weights = self.fusion(tokens, torch.cat(visible, dim=1) > 0)
        parts = weights.split([own.shape[1] for own in tokens], dim=1)
        looked = dict(zip(self.modalities, parts, strict=True))
        attention["modalities"] = shares(
            torch.stack([looked[name].sum(dim=1) * here[name] for name in self.modalities], dim=1)
        )
        if "expression" in looked:
            attention["groups"] = shares(looked["expression"][:, : self.groups] * here["expression"][:, None])
        logits = self.head(embedding)
        return ModelOutput(
            logits=logits, aux_loss=torch.zeros_like(logits[:, 0]), embedding=embedding, attention=attention
        )


def build(inputs: Inputs, outputs: int, options: Options) -> S2Fusion:
    """The model for a study with any modalities."""
    return S2Fusion(inputs, outputs, options)
