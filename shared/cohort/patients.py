"""The patients of a site as arrays, and the batches a model is given."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.cohort.batch import Batch
from shared.cohort.spread import spread

__all__ = ["Patients", "number_of"]

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
TABLES = ("expression", "aux", "blood", "clinical")
BAGS = ("bags", "images")
SETTINGS = ("modalities", "max_patches", "max_images")
BELONGS_TO = {"expression": "expression", "aux": "expression", "blood": "blood", "clinical": "clinical"}


def number_of(case_id: str) -> int:
    """63 bits of a case_id's SHA-256."""
    return int.from_bytes(hashlib.sha256(case_id.encode()).digest()[:8]) >> 1


@dataclass(frozen=True)
class Patients:
    """P patients. Rows are never reordered; `take` makes a smaller set. A modality that is not used has width 0."""

    site: NDArray[np.str_]  # (P,)
    case_id: NDArray[np.str_]  # (P,), never in a message, a log or a run folder
    modalities: tuple[str, ...]  # the study's, the columns of `present`
    present: Floats  # (P, M) in {0, 1}
    bags: tuple[Floats, ...]  # P bags (N_i, F)
    max_patches: int
    expression: Floats  # (P, U)
    expression_observed: Flags
    aux: Floats  # (P, A)
    aux_observed: Flags
    blood: Floats  # (P, F_b)
    blood_observed: Flags
    clinical: Floats  # (P, V)
    clinical_observed: Flags
    y: NDArray[np.int64]  # (P,)
    time: Floats  # (P,) months
    cens: Floats  # (P,)
    images: tuple[Floats, ...] = ()  # P times (I_i, F_i), last column box_found; () = the study does not use them
    max_images: int = 1
    further_y: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))  # (P, H), -1 = unknown
    further_time: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # (P, H) months
    further_cens: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # (P, H)

    def __post_init__(self) -> None:
        if len(self.further_y) != len(self):  # H = 0 unless the study has further heads
            for name in ("further_y", "further_time", "further_cens"):
                object.__setattr__(self, name, np.zeros((len(self), 0), getattr(self, name).dtype))
        if not self.images:
            object.__setattr__(self, "images", tuple(np.zeros((0, 0), np.float32) for _ in self.case_id))

    def __len__(self) -> int:
        return len(self.y)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """(P,) a number of each case_id, the same wherever the patient is met; it leaves no site."""
        return np.array([number_of(case) for case in self.case_id.tolist()], dtype=np.int64)

    def take(self, index: Sequence[int] | NDArray[np.integer] | Flags) -> "Patients":
        """The patients at `index` (positions or a mask), in that order."""
        rows = np.asarray(index)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        taken: dict[str, Any] = {
            field.name: getattr(self, field.name)[rows]
            for field in fields(self)
            if field.name not in (*SETTINGS, *BAGS)
        }
        taken |= {name: tuple(getattr(self, name)[row] for row in rows) for name in BAGS}
        return replace(self, **taken)

    @classmethod
    def concatenate(cls, parts: Sequence["Patients"]) -> "Patients":
        """All patients of several sites, in the given order."""
        first = parts[0]
        joined: dict[str, Any] = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(first)
            if field.name not in (*SETTINGS, *BAGS)
        }
        joined |= {name: tuple(bag for part in parts for bag in getattr(part, name)) for name in BAGS}
        return replace(first, **joined)

    def of_head(self, place: int) -> "Patients":
        """The patients with the label of the further head at `place`, which becomes their label."""
        part = self.take(self.further_y[:, place] >= 0)
        labels = {name: getattr(part, f"further_{name}")[:, place] for name in ("y", "time", "cens")}
        return replace(part, **labels)

    def without_heads(self, places: NDArray[np.int64]) -> "Patients":
        """The same patients as if nobody had the labels of the further heads at `places`."""
        unknown = np.isin(np.arange(self.further_y.shape[1]), places)
        return replace(self, further_y=np.where(unknown, -1, self.further_y))

    def count(self, modality: str) -> int:
        """Patients that have the modality."""
        return int(self.present[:, self.modalities.index(modality)].sum())

    def only(self, kept: Sequence[str]) -> "Patients":
        """The same patients as if they had no modality but `kept`; their values become zeros."""
        present = self.present * np.array([name in kept for name in self.modalities], dtype=np.float32)
        gone = {name for name in self.modalities if name not in kept}
        tables: dict[str, Any] = {}
        for table in TABLES:
            if BELONGS_TO[table] in gone:
                tables[table] = np.zeros_like(getattr(self, table))
                tables[f"{table}_observed"] = np.zeros_like(getattr(self, f"{table}_observed"))
        bags = tuple(bag[:0] for bag in self.bags) if "slides" in gone else self.bags
        images = tuple(image[:0] for image in self.images) if "imaging" in gone else self.images
        return replace(self, present=present, bags=bags, images=images, **tables)

    def batch(
        self,
        index: Sequence[int] | NDArray[np.int64],
        *,
        generator: torch.Generator | None = None,
        modality_dropout: float = 0.0,
    ) -> Batch:
        """The batch of the patients at `index`.

        Parameters
        ----------
        generator
            Random choices of training: which patches of an oversized bag, which modalities are dropped. Without it
            (evaluation) `max_patches` patches spread over all slides are used and nothing is dropped.
        modality_dropout
            Probability of dropping each present modality of a patient; never all of them.
        """
        rows = np.asarray(index, dtype=np.int64)
        slides, slides_mask = _padded(self.bags, rows, self.max_patches, generator)
        first = tuple(images[: self.max_images] for images in self.images)
        imaging, imaging_mask = _padded(first, rows, self.max_images, None)
        tables = {name: torch.from_numpy(getattr(self, name)[rows]) for name in TABLES}
        observed = {f"{name}_observed": torch.from_numpy(getattr(self, f"{name}_observed")[rows]) for name in TABLES}
        batch = Batch(
            slides=slides,
            slides_mask=slides_mask,
            **tables,
            **observed,
            imaging=imaging,
            imaging_mask=imaging_mask,
            present=torch.from_numpy(self.present[rows]),
            y=torch.from_numpy(self.y[rows]),
            time=torch.from_numpy(self.time[rows]),
            cens=torch.from_numpy(self.cens[rows]),
            further_y=torch.from_numpy(self.further_y[rows]),
            further_cens=torch.from_numpy(self.further_cens[rows]),
        )
        if generator is None or modality_dropout == 0.0:
            return batch
        return _drop(batch, self.modalities, modality_dropout, generator)


def _padded(
    bags: tuple[Floats, ...], rows: NDArray[np.int64], most: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """The bags of `rows`, at most `most` of each, padded to the longest: (B, N, F) and (B, N).

    An oversized bag gives some that are evenly spread over it, or with a generator some drawn at random.
    """
    chosen = [bags[row] for row in rows]
    width = chosen[0].shape[1] if chosen else (bags[0].shape[1] if bags else 0)
    longest = min(max((len(bag) for bag in chosen), default=0), most)
    padded = np.zeros((len(chosen), longest, width), dtype=np.float32)
    mask = np.zeros((len(chosen), longest), dtype=bool)
    for i, bag in enumerate(chosen):
        if len(bag) > most:
            bag = bag[_drawn(len(bag), most, generator)]
        padded[i, : len(bag)] = bag
        mask[i, : len(bag)] = True
    return torch.from_numpy(padded), torch.from_numpy(mask)


def _drawn(count: int, most: int, generator: torch.Generator | None) -> NDArray[np.int64]:
    """`most` positions of `count`: at random with a generator, else evenly spread."""
    if generator is None:
        return spread(count, most)
    drawn: NDArray[np.int64] = torch.randperm(count, generator=generator)[:most].numpy()
    return drawn


def _drop(batch: Batch, modalities: tuple[str, ...], p: float, generator: torch.Generator) -> Batch:
    """Drop present modalities with probability `p`; a patient that would lose all keeps one, chosen at random."""
    draw = torch.rand(batch.present.shape, generator=generator)
    kept = batch.present * (draw >= p)
    lonely = kept.sum(1) == 0
    # the one that is kept: the present modality with the highest draw
    spared = torch.zeros_like(kept).scatter_(1, (draw * batch.present).argmax(1, keepdim=True), 1.0) * batch.present
    present = torch.where(lonely[:, None], spared, kept)
    part = {name: present[:, i] for i, name in enumerate(modalities)}
    changed: dict[str, Tensor] = {"present": present}
    for table in TABLES:
        if BELONGS_TO[table] in part:
            keep = part[BELONGS_TO[table]]
            changed[table] = getattr(batch, table) * keep[:, None]
            changed[f"{table}_observed"] = getattr(batch, f"{table}_observed") & (keep[:, None] > 0)
    for name in ("slides", "imaging"):
        if name in part:
            changed[name] = getattr(batch, name) * part[name][:, None, None]
            changed[f"{name}_mask"] = getattr(batch, f"{name}_mask") & (part[name][:, None] > 0)
    return replace(batch, **changed)
