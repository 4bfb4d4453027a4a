from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

import pytest
import torch

from shared.cohort import MODALITIES
from shared.cohort.batch import Batch
from shared.models import ARCHITECTURES, resolve_options
from shared.models.inputs import Inputs

from .cases import OUTPUTS, SMALL

WIDTHS = Inputs(
    modalities=MODALITIES,
    slides=5,
    max_patches=9,
    genes=12,
    groups=((0, 1, 2, 3, 4), (3, 4, 5, 6), (7, 8, 9, 10, 11)),
    aux=3,
    blood=4,
    imaging=3,
    clinical=2,
)
BatchFactory = Callable[..., Batch]


@pytest.fixture
def inputs_of() -> Callable[[tuple[str, ...]], Inputs]:
    """Small inputs of a study with the given modalities; the widths of the others are 0, as in a real batch."""

    def inputs(modalities: tuple[str, ...]) -> Inputs:
        unused = set(MODALITIES) - set(modalities)
        zero = dict.fromkeys(unused - {"expression"}, 0)
        genes = {"genes": 0, "groups": (), "aux": 0} if "expression" in unused else {}
        return replace(WIDTHS, modalities=modalities, **zero, **genes)

    return inputs


@pytest.fixture
def batch_of() -> BatchFactory:
    """A random batch for some inputs: about a fifth of the cells unobserved, bags of 1 to N patches."""

    def batch(inputs: Inputs, rows: int = 4, patches: int = 6, seed: int = 0) -> Batch:
        random = torch.Generator().manual_seed(seed)

        def table(width: int) -> tuple[torch.Tensor, torch.Tensor]:
            seen = torch.rand(rows, width, generator=random) < 0.8
            return torch.randn(rows, width, generator=random) * seen, seen

        def bag(tokens: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
            count = torch.randint(1, tokens + 1, (rows, 1), generator=random) if tokens else torch.zeros(rows, 1)
            mask = torch.arange(tokens)[None, :] < count
            return torch.randn(rows, tokens, width, generator=random) * mask[:, :, None], mask

        slides, slides_mask = bag(patches, inputs.slides)
        imaging, imaging_mask = bag(2, inputs.imaging)
        expression, expression_observed = table(inputs.genes)
        aux, aux_observed = table(inputs.aux)
        blood, blood_observed = table(inputs.blood)
        clinical, clinical_observed = table(inputs.clinical)
        return Batch(
            slides=slides,
            slides_mask=slides_mask,
            expression=expression,
            expression_observed=expression_observed,
            aux=aux,
            aux_observed=aux_observed,
            blood=blood,
            blood_observed=blood_observed,
            imaging=imaging,
            imaging_mask=imaging_mask,
            clinical=clinical,
            clinical_observed=clinical_observed,
            present=torch.ones(rows, len(inputs.modalities)),
            y=torch.randint(0, 3, (rows,), generator=random),
            time=torch.ones(rows),
            cens=torch.zeros(rows),
        )

    return batch


@pytest.fixture
def case(inputs_of, batch_of):
    """Model in evaluation mode and batch of a case."""

    def build(name, use, rows=4, patches=6, **options):
        torch.default_generator.manual_seed(0)  # torch.manual_seed keeps a stack trace for a GPU, which takes long
        module, inputs = import_module(ARCHITECTURES[name]), inputs_of(use)
        model = module.build(inputs, OUTPUTS, module.Options(**resolve_options(name, {**SMALL[name], **options})))
        return model.eval(), batch_of(inputs, rows=rows, patches=patches)

    return build
