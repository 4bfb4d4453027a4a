"""Every architecture, small, with several sets of modalities: what the tests of the registry's rules run over."""

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from shared.cohort import MODALITIES
from shared.cohort.batch import Batch, ModelOutput
from shared.models import ARCHITECTURES, about
from shared.models.inputs import Inputs

SMALL = {  # every architecture needs a row: small, without dropout, with weights that are not zero
    "abmil": {"dim": 8, "dropout": 0.0},
    "clam_sb": {"dim": 8, "dropout": 0.0, "instances": 2},
    "dp_small": {"dim": 8, "dropout": 0.0},
    "late": {"dim": 8, "dropout": 0.0, "weights": "learned"},
    "linear": {"zero_init": False, "scale": "block"},
    "mcat": {"dim": 32, "heads": 2, "dropout": 0.0},
    "porpoise": {"dim": 16, "narrow": 8, "dropout": 0.0},
    "s1_crossattn": {"dim": 16, "heads": 4, "dropout": 0.0, "head_dropout": 0.0},
    "s2_fusion": {"dim": 8, "heads": 2, "dropout": 0.0},
    "snn": {"dim": 8, "dropout": 0.0},
    "survpath": {"dim": 32, "dropout": 0.0},
    "transmil": {"dim": 8, "heads": 2},
    "umeml": {"dim": 16, "heads": 4, "dropout": 0.0},
}
Case = tuple[str, tuple[str, ...], dict[str, object]]
DETECTORS = {"yolo"}  # reads pictures, not a batch; has BatchNorm, and is never trained under record-level privacy
SETS = [
    ("slides",),
    ("expression",),
    ("slides", "expression"),
    ("expression", "clinical"),
    MODALITIES,
]


def suits(name: str, use: tuple[str, ...]) -> bool:
    return set(about(name).needs) <= set(use) <= set(about(name).takes)


PLAIN: list[Case] = [
    (name, use, {}) for name in ARCHITECTURES if name not in DETECTORS for use in SETS if suits(name, use)
]
BOTH = ("slides", "expression")
VARIANTS: list[Case] = [  # further ways to build some of them
    ("clam_sb", ("slides",), {"instances": 9}),
    ("late", MODALITIES, {"weights": "mean"}),
    ("mcat", BOTH, {"fusion": "bilinear"}),
    *(("s1_crossattn", BOTH, {"fusion": f}) for f in ("cross_attn", "cross_attn_rev", "concat", "late")),
    ("s2_fusion", MODALITIES, {"fusion": "gated_concat"}),
    ("s2_fusion", MODALITIES, {"absent": "mask"}),
    ("survpath", BOTH, {"shared_second": False}),
    ("umeml", BOTH, {"modularity": "cause"}),
    ("umeml", BOTH, {"decoder": False, "grouping": "chunks"}),
    ("umeml", BOTH, {"prototypes": 0, "registers": 0}),
    ("umeml", BOTH, {"fuse": "gated_bilinear", "dim": 64}),
    ("umeml", MODALITIES, {"fuse": "late"}),
    ("umeml", MODALITIES, {"absent": "mask"}),
    ("umeml", MODALITIES, {"absent": "mask", "decoder": False, "fuse": "late"}),
    ("umeml", BOTH, {"genomic_cls": True, "alpha": 0.0, "prototypes": 3}),
    ("umeml", BOTH, {"modularity": "off", "grouping": "chunks", "chunks": 5}),
    ("umeml", ("slides", "blood"), {"decoder": False}),
    ("umeml", ("blood", "clinical"), {}),
]
VALUES = ("slides", "expression", "aux", "blood", "imaging", "clinical")
FIELDS = {name: (name, "aux") if name == "expression" else (name,) for name in MODALITIES}
OUTPUTS = 3
MCAT6 = (82, 328, 513, 443, 1536, 452)
UNION = 3047


def mcat6(modalities: tuple[str, ...] = ("slides", "expression"), **widths: int) -> Inputs:
    """Inputs with groups of the sizes of SEEDS.md section 8, one after the other round the vocabulary."""
    starts = [sum(MCAT6[:i]) for i in range(6)]
    groups = tuple(tuple(sorted(i % UNION for i in range(a, a + n))) for a, n in zip(starts, MCAT6, strict=True))
    return Inputs(modalities, genes=UNION, groups=groups, **widths)


def parts(model: nn.Module, depth: int = 2) -> dict[str, int]:
    """Parameters by the first `depth` words of their names."""
    sizes: dict[str, int] = {}
    for name, weight in model.named_parameters():
        part = ".".join(name.split(".")[:depth])
        sizes[part] = sizes.get(part, 0) + weight.numel()
    return sizes


def named(value: object) -> str:
    """The name of a case in the test report."""
    if isinstance(value, tuple):
        return "all" if value == MODALITIES else "+".join(value)
    return "-".join(str(part) for part in value.values()) if isinstance(value, dict) else str(value)


def over(least: int) -> list[object]:
    """All cases with at least so many modalities; the variants are slow, only because they are many."""
    slow = [pytest.param(*case, marks=pytest.mark.slow) for case in VARIANTS if len(case[1]) >= least]
    return [case for case in PLAIN if len(case[1]) >= least] + slow


every_case = pytest.mark.parametrize(("name", "use", "options"), over(1), ids=named)
every_multimodal_case = pytest.mark.parametrize(("name", "use", "options"), over(2), ids=named)


def without(batch: Batch, use: tuple[str, ...], absent: tuple[str, ...]) -> Batch:
    """The batch as a site without those modalities makes it: zeros, masks False, presence 0."""
    present = batch.present.clone()
    changes = {}
    for name in absent:
        present[:, use.index(name)] = 0
        for field in FIELDS[name]:
            mask = f"{field}_mask" if field in ("slides", "imaging") else f"{field}_observed"
            changes[field] = torch.zeros_like(getattr(batch, field))
            changes[mask] = torch.zeros_like(getattr(batch, mask))
    return replace(batch, present=present, **changes)


def mixed(batch: Batch, use: tuple[str, ...]) -> Batch:
    """Patient 0 lacks the first modality, patient 1 the last one (the same one where there is only one)."""
    present = batch.present.clone()
    present[0, 0] = 0
    present[1, len(use) - 1] = 0
    return replace(batch, present=present)


def rows_of(batch: Batch, rows: slice) -> Batch:
    return Batch(**{field.name: getattr(batch, field.name)[rows] for field in fields(batch)})


def alone(batch: Batch, row: int) -> Batch:
    """One patient as a batch, with no more padding than the own bag needs."""
    single = rows_of(batch, slice(row, row + 1))
    length = int(single.slides_mask.sum())
    return replace(single, slides=single.slides[:, :length], slides_mask=single.slides_mask[:, :length])


def loss_of(output: ModelOutput, batch: Batch) -> Tensor:
    """The loss of each patient, the model's own included: (B,)."""
    return functional.cross_entropy(output["logits"], batch.y, reduction="none") + output["aux_loss"]
