"""Random patients in the public shapes of a study: what a model is looked at with before it may see real ones."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from shared.cohort.batch import Batch
from shared.cohort.genes import vocabulary
from shared.study import ClassificationTask, DetectionTask, Modalities, Study, SurvivalTask

__all__ = ["ROWS", "VALUES", "probe_batch", "seeded"]

ROWS = 3
VALUES = ("slides", "expression", "aux", "blood", "imaging", "clinical")
"""The fields of a batch that hold a patient's numbers."""

PATCHES, IMAGES = 6, 2
HELD = {"aux": "expression"}


def probe_batch(study: Study, seed: int = 0) -> Batch:
    """ROWS random patients of a resolved study that predicts labels; another seed gives the same shapes.

    The first patient lacks the study's first modality, the second the last one if there are more, the third none;
    with every further seed they change places, and have other labels. About a fifth of the cells is unobserved.
    """
    random = torch.Generator().manual_seed(seed)
    use = study.modalities
    present = torch.ones(ROWS, len(use.names))
    present[0, 0] = 0
    if len(use.names) > 1:
        present[1, -1] = 0
    present = present.roll(seed, dims=0)
    columns: dict[str, Tensor] = {}
    for name, width in _widths(use).items():
        held = HELD.get(name, name)
        here = present[:, use.names.index(held)] > 0 if held in use.names else torch.zeros(ROWS, dtype=torch.bool)
        if name in ("slides", "imaging"):
            tokens = _tokens(use, name)
            counts = torch.randint(1, tokens + 1, (ROWS, 1), generator=random) if tokens else torch.zeros(ROWS, 1)
            mask = (torch.arange(tokens)[None, :] < counts) & here[:, None]
            values = torch.randn(ROWS, tokens, width, generator=random) * mask[:, :, None]
            columns |= {name: values, f"{name}_mask": mask}
        else:
            seen = (torch.rand(ROWS, width, generator=random) < 0.8) & here[:, None]
            columns |= {name: torch.randn(ROWS, width, generator=random) * seen, f"{name}_observed": seen}
    further = [_labels(head.task, seed) for head in study.heads]
    if further:
        further[0][seed % ROWS] = -1  # not known
    return Batch(
        **columns,
        present=present,
        y=_labels(study.task, seed),
        time=1 + 99 * torch.rand(ROWS, generator=random),
        cens=(torch.arange(ROWS) + seed).remainder(2).float(),
        further_y=torch.stack(further, dim=1) if further else torch.zeros(ROWS, 0, dtype=torch.int64),
        further_cens=torch.zeros(ROWS, len(further)),
    )


@contextmanager
def seeded() -> Iterator[None]:
    """The same random numbers in torch every time, none of them taken from whoever asks."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


def _widths(use: Modalities) -> dict[str, int]:
    """Numbers a patient, a patch or an image has, as in shared/models/inputs.py, which may not be imported here."""
    expression, blood = use.expression, use.blood
    return {
        "slides": use.slides.dim if use.slides else 0,
        "expression": len(vocabulary(expression.groups)) if expression else 0,
        "aux": len(expression.aux_columns) if expression else 0,
        "blood": (blood.text_dim or len(blood.analytes)) if blood else 0,
        "imaging": use.imaging.dim + 1 if use.imaging else 0,
        "clinical": len(use.clinical.columns) if use.clinical else 0,
    }


def _tokens(use: Modalities, name: str) -> int:
    if name == "slides":
        return min(PATCHES, use.slides.max_patches) if use.slides else 0
    return min(IMAGES, use.imaging.max_images) if use.imaging else 0


def _labels(task: ClassificationTask | SurvivalTask | DetectionTask, seed: int) -> Tensor:
    """A class or time bin for every patient (ROWS,); the next seed gives everybody another one."""
    count = len(task.classes) if isinstance(task, ClassificationTask) else task.outputs
    return (torch.arange(ROWS) + seed).remainder(count)
