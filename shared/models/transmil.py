"""`transmil`: patches attend to one another, with a convolution as position (Shao et al. 2021, NeurIPS). Slides only.

Patches are laid in a square, row by row, the first ones again until it is full; the position is the place in that
square (PPEG, the paper's algorithm 3). Ours differs from the source where it must: attention is exact, since the
source's approximation divides by a maximum over the batch; the square's side follows from the study's max_patches,
so a bag gives the same square in any batch, and only real patches are repeated.
"""

import math
from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from shared.cohort.batch import Batch, ModelOutput
from shared.documents import Document, contradictions
from shared.models.about import About, Setting
from shared.models.attention import SelfAttentionBlock, shares
from shared.models.branches import Tokens, presence
from shared.models.inputs import Inputs

__all__ = ["ABOUT", "PRESETS", "Options", "TransMIL", "build", "faults"]

ABOUT = About(
    summary="patches attend to one another in a square",
    reference="Shao et al. 2021, NeurIPS",
    takes=("slides",),
    needs=("slides",),
)
MOST_PATCHES = 1024  # exact attention over side^2 tokens: beyond it a batch no longer fits into memory


class Options(Document):
    """Width of the tokens, and heads."""

    dim: Annotated[int, Field(ge=1)] = 512
    heads: Annotated[int, Field(ge=1)] = 8

    @model_validator(mode="after")
    def _agrees(self) -> "Options":
        if self.dim % self.heads:
            got = f"{self.dim} and {self.heads}"
            contradictions([f"expected a dim that heads divides, got {got}; write e.g. dim = 512, heads = 8"])
        return self


PRESETS = {"dp_small": {"dim": 48}}


class Position(nn.Module):
    """PPEG: x + depth-wise convolutions of 7, 5 and 3 places over the square."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.wide, self.middle, self.narrow = (
            nn.Conv2d(dim, dim, size, padding=size // 2, groups=dim) for size in (7, 5, 3)
        )

    def forward(self, x: Tensor, side: int) -> Tensor:
        """Tokens of the square (B, side * side, d), to the same shape."""
        rows, _, dim = x.shape
        # contiguous, since opacus 1.6 takes wrong gradients a patient of a convolution over a transposed view
        square = x.transpose(1, 2).contiguous().reshape(rows, dim, side, side)
        placed: Tensor = square + self.wide(square) + self.middle(square) + self.narrow(square)
        return placed.flatten(2).transpose(1, 2)


class TransMIL(nn.Module):
    """A patient is what a class token gathers from the square; without slides the head's bias decides."""

    def __init__(self, inputs: Inputs, outputs: int, options: Options) -> None:
        super().__init__()
        self.modalities = inputs.modalities
        self.side = math.isqrt(inputs.max_patches - 1) + 1  # ceil(sqrt(N_max))
        self.branches = nn.ModuleDict({"slides": nn.Sequential(nn.Linear(inputs.slides, options.dim), nn.ReLU())})
        self.cls = Tokens(1, options.dim)
        self.before = SelfAttentionBlock(options.dim, options.heads)
        self.position = Position(options.dim)
        self.after = SelfAttentionBlock(options.dim, options.heads)
        self.norm = nn.LayerNorm(options.dim)
        self.head = nn.Linear(options.dim, outputs)

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits (B, C), embedding (B, dim) and `attention["slides"]` (B, N): the class token's in the last layer."""
        here = presence(batch, self.modalities, "slides")[:, None]  # (B, 1)
        slides, mask, length = batch.slides, batch.slides_mask, batch.slides_mask.shape[1]
        if not length:  # nobody in the batch has a patch: something must stand in the square
            slides, mask = functional.pad(slides, (0, 0, 0, 1)), functional.pad(mask, (0, 1))
        place = self._places(mask)  # (B, S)
        patches = self.branches["slides"](slides)
        square = patches.gather(1, place[:, :, None].expand(-1, -1, patches.shape[2])) * here[:, :, None]
        tokens = self.before(torch.cat([self.cls(square), square], dim=1))
        tokens = torch.cat([tokens[:, :1], self.position(tokens[:, 1:], self.side)], dim=1)
        tokens, weights = self.after.weigh(tokens)
        embedding = here * self.norm(tokens[:, 0])
        logits = self.head(embedding)
        on_square = weights[:, :, 0, 1:].mean(dim=1) * here  # (B, S); a repeated patch adds up
        on_patches = on_square.new_zeros(patches.shape[:2]).scatter_add(1, place, on_square)
        return ModelOutput(
            logits=logits,
            aux_loss=torch.zeros_like(logits[:, 0]),
            embedding=embedding,
            attention={"slides": shares(on_patches)[:, :length]},
        )

    def _places(self, mask: Tensor) -> Tensor:
        """Which patch stands at each place of the square: (B, side * side), real patches over and over."""
        order = (~mask).to(torch.uint8).argsort(dim=1, stable=True)  # real patches first, in their order
        turn = torch.arange(self.side**2, device=mask.device) % mask.sum(dim=1, keepdim=True).clamp(min=1)
        return order.gather(1, turn)


def faults(setting: Setting, options: Options) -> list[str]:
    """A bag that exact attention cannot hold."""
    if setting.max_patches > MOST_PATCHES:
        return [
            f"expected modalities.slides.max_patches of at most {MOST_PATCHES} for transmil, whose attention is exact, "
            f"got {setting.max_patches}; lower it, or choose another architecture"
        ]
    return []


def build(inputs: Inputs, outputs: int, options: Options) -> TransMIL:
    """The model for a study of slides."""
    return TransMIL(inputs, outputs, options)
