"""`clam_sb`: attention pooling taught by its own extremes (Lu et al. 2021, Nat Biomed Eng, CLAM-SB). Slides only.

Beside the label of the bag, the k patches that got most attention are taught to be of the patient's class and the k
that got least not to be, each patient for itself. Ours differs from the source where it must: cross-entropy in place
of its smooth SVM loss, k' = min(k, n // 2) so that a small bag has no patch on both sides, none below two patches.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from shared.cohort.batch import Batch, ModelOutput
from shared.documents import Document
from shared.models.about import About, Setting
from shared.models.branches import presence
from shared.models.inputs import Inputs
from shared.models.pooled_slides import PooledSlides

__all__ = ["ABOUT", "CLAM", "PRESETS", "Options", "build", "faults"]

ABOUT = About(
    summary="attention over patches, taught by its extremes",
    reference="Lu et al. 2021, Nat Biomed Eng 5:555",
    takes=("slides",),
    needs=("slides",),
)


class Options(Document):
    """Width, dropout on patches, patches a side of the instance loss, and its share of the whole loss."""

    dim: Annotated[int, Field(ge=2)] = 512
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25
    instances: Annotated[int, Field(ge=1)] = 8
    instance_share: Annotated[float, Field(ge=0, lt=1)] = 0.3


PRESETS = {"dp_small": {"dim": 64}}


class CLAM(nn.Module):
    """A patient is the weighted mean of patches; without slides the head's bias decides."""

    def __init__(self, inputs: Inputs, outputs: int, options: Options) -> None:
        super().__init__()
        self.modalities = inputs.modalities
        self.k = options.instances
        # the trainer adds aux_loss to the bag's loss: .7 bag + .3 instance, over .7
        self.factor = options.instance_share / (1 - options.instance_share)
        self.classes = max(outputs, 2)  # one logit stands for two classes
        self.branches = nn.ModuleDict(
            {"slides": PooledSlides(inputs.slides, options.dim, options.dim // 2, options.dropout)}
        )
        self.instances = nn.Linear(options.dim, 2 * self.classes)  # a two-way classifier a class, side by side
        self.head = nn.Linear(options.dim, outputs)

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits (B, C), embedding (B, dim), the instance loss as `aux_loss` (B,) and `attention["slides"]` (B, N).

        A patient without a known class (unlabelled, or censored before the end of a time bin) has no instance loss.
        """
        here = presence(batch, self.modalities, "slides")[:, None]  # (B, 1)
        mask = batch.slides_mask & (here > 0)
        pooled, weights, patches = self.branches["slides"](batch.slides, mask)
        embedding = here * pooled
        return ModelOutput(
            logits=self.head(embedding),
            aux_loss=self.factor * self._instance_loss(patches, weights.detach(), mask, batch),
            embedding=embedding,
            attention={"slides": weights},
        )

    def _instance_loss(self, patches: Tensor, weights: Tensor, mask: Tensor, batch: Batch) -> Tensor:
        """Mean cross-entropy over the 2 k' patches of each bag: (B,)."""
        rows, tokens, dim = patches.shape
        places = torch.arange(min(self.k, tokens), device=mask.device)  # at least k' of any bag
        count = mask.sum(dim=1, keepdim=True)  # (B, 1)
        used = places < (count // 2)  # (B, k): the first k' of them
        order = weights.masked_fill(~mask, -1.0).argsort(dim=1, descending=True, stable=True)  # real patches first
        top = order[:, : len(places)]
        bottom = order.gather(1, (count - 1 - places).clamp(min=0))
        chosen = torch.cat([top, bottom], dim=1)[:, :, None].expand(-1, -1, dim)  # (B, 2k, d)
        logits = self.instances(patches.gather(1, chosen)).reshape(rows, 2 * len(places), self.classes, 2)
        own = batch.y.clamp(0, self.classes - 1)[:, None, None, None].expand(-1, 2 * len(places), 1, 2)
        of_class = logits.gather(2, own).squeeze(2)  # (B, 2k, 2)
        inside, outside = functional.log_softmax(of_class, dim=2).unbind(dim=2)
        losses = -torch.cat([inside[:, : len(places)], outside[:, len(places) :]], dim=1)
        counted = torch.cat([used, used], dim=1)
        known = ((batch.y >= 0) & (batch.y < self.classes) & (batch.cens == 0)).to(losses.dtype)
        return known * (losses * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)


def faults(setting: Setting, options: Options) -> list[str]:
    """The instance classifiers take every logit for a class of the one task."""
    if setting.tasks > 1:
        return [
            "expected one task for clam_sb, since its instance loss takes every output for a class, got [[heads]]; "
            "remove them, or choose another architecture"
        ]
    return []


def build(inputs: Inputs, outputs: int, options: Options) -> CLAM:
    """The model for a study of slides."""
    return CLAM(inputs, outputs, options)
