"""`linear`: logistic regression on whatever a patient has. The honest floor, printed beside every other model.

Values enter as they are, 0 where unobserved; slides and images enter as the mean of their features. With
`scale = "block"` each wide block is damped, so that one step size suits all of them (the recipe that reached the
survival floor on the glioma tables): genes by sqrt(U), slides and images by sqrt(F), mutations and copy number by 2.
With `risk_score` the C logits share one score and differ by an intercept: a proportional-odds hazard model of
discrete time, in which a higher score is a higher hazard in every bin (Tutz and Schmid 2016, section 3.1).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from shared.cohort.batch import Batch, ModelOutput
from shared.documents import Document
from shared.models.about import About, Setting
from shared.models.branches import Tokens, masked_mean, observed, presence, width_of
from shared.models.inputs import Inputs

__all__ = ["ABOUT", "PRESETS", "Linear", "Options", "build", "faults"]

ABOUT = About(summary="logistic regression, the floor", reference="Tutz and Schmid 2016, Springer, section 3.1")


class Options(Document):
    """Damping of wide blocks; weights that start at zero; one risk score for all time bins."""

    scale: Literal["none", "block"] = "none"
    zero_init: bool = True
    risk_score: bool = False


PRESETS: dict[str, dict[str, int]] = {"dp_small": {}}  # small as it is


class Linear(nn.Module):
    """Sum over the present modalities of W x, plus an intercept."""

    def __init__(self, inputs: Inputs, outputs: int, options: Options) -> None:
        super().__init__()
        self.modalities = inputs.modalities
        self.damped = options.scale == "block"
        self.blocks = {name: _blocks(inputs, name) for name in inputs.modalities}
        scores = 1 if options.risk_score else outputs
        self.branches = nn.ModuleDict({name: _layers(blocks, scores) for name, blocks in self.blocks.items()})
        self.intercept = Tokens(1, outputs)
        nn.init.zeros_(self.intercept.weight)
        if options.zero_init:
            for weight in self.branches.parameters():
                nn.init.zeros_(weight)

    def forward(self, batch: Batch) -> ModelOutput:
        """Logits (B, C), which are the embedding too; no attention."""
        logits: Tensor = self.intercept(batch.present).squeeze(1)
        for modality, blocks in self.blocks.items():
            here = presence(batch, self.modalities, modality)[:, None]
            for block, (_, damping) in blocks.items():
                layer = self.branches.get_submodule(f"{modality}.{block}")
                factor = here * damping if self.damped else here
                logits = logits + factor * layer(_values(batch, block))
        return ModelOutput(
            logits=logits, aux_loss=torch.zeros_like(batch.present[:, 0]), embedding=logits, attention={}
        )


def _layers(blocks: dict[str, tuple[int, float]], scores: int) -> nn.ModuleDict:
    return nn.ModuleDict({block: nn.Linear(width, scores, bias=False) for block, (width, _) in blocks.items()})


def _blocks(inputs: Inputs, modality: str) -> dict[str, tuple[int, float]]:
    """The blocks of a modality: name -> width and damping."""
    if modality == "expression":
        aux = {"aux": (inputs.aux, 0.5)} if inputs.aux else {}
        return {"genes": (inputs.genes, inputs.genes**-0.5), **aux}
    width = width_of(inputs, modality)
    return {modality: (width, width**-0.5 if modality in ("slides", "imaging") else 1.0)}


def _values(batch: Batch, block: str) -> Tensor:
    """What one block multiplies: (B, width)."""
    match block:
        case "slides":
            return masked_mean(batch.slides, batch.slides_mask)
        case "imaging":
            return masked_mean(batch.imaging, batch.imaging_mask)
        case "genes":
            return observed(batch.expression, batch.expression_observed)
        case _:
            return observed(getattr(batch, block), getattr(batch, f"{block}_observed"))


def faults(setting: Setting, options: Options) -> list[str]:
    """A risk score is that of several time bins of one task."""
    found = []
    if options.risk_score and setting.outputs == 1:
        found.append("expected at least 2 outputs for risk_score, got 1; use a survival task or risk_score = false")
    if options.risk_score and setting.tasks > 1:
        found.append(
            "expected one task for risk_score, since all outputs share one score, got [[heads]]; "
            "remove them or write risk_score = false"
        )
    return found


def build(inputs: Inputs, outputs: int, options: Options) -> Linear:
    """The model for a study with any modalities."""
    return Linear(inputs, outputs, options)
