"""How well lesions are found on images: average precision from counts by confidence, so that they add up.

A found box counts as true at an overlap (IoU) when it is the first, by confidence, to take a drawn box that it
overlaps at least that much (Lin et al. 2014, COCO). Confidences are kept in 256 public bins that are fine near 0, where
the boxes of a young model lie.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from shared.metrics.ranking import divide
from shared.metrics.scored import Floats, Integers

__all__ = ["BINS", "DETECTION", "OVERLAPS", "Detected", "Found", "detection_metrics", "measure_detected"]

OVERLAPS = np.linspace(0.5, 0.95, 10)
BINS = 256
DETECTION = ("map50", "map50_95", "recall_25")
"""Mean precision at an overlap of .5, its mean over OVERLAPS, and lesions found at confidence .25 and overlap .5."""

HALF = BINS // 2  # the first bin of confidence .25 and more
RECALLS = np.linspace(0, 1, 101)
Boxes: TypeAlias = npt.NDArray[np.floating]  # (k, 4): x0, y0, x1, y1


@dataclass(frozen=True, eq=False)
class Found:
    """What a model found on one image, beside what a person drew; all boxes in the same px."""

    patient: int  # place of the image's patient
    boxes: Boxes  # (k, 4)
    confidence: Floats  # (k,) in [0, 1]
    drawn: Boxes  # (m, 4)


@dataclass(frozen=True, eq=False)
class Detected:
    """The found boxes of n patients as counts."""

    true: Integers  # (n, 10, 256) found boxes that are true at each overlap, by bin of confidence, ascending
    false: Integers  # (n, 10, 256) the others
    boxes: Integers  # (n,) drawn boxes
    site: npt.NDArray[np.str_]  # (n,) the hospital

    @classmethod
    def of(cls, found: Sequence[Found], site: Sequence[str]) -> "Detected":
        """Count the images of the patients whose hospitals are `site` (n,); a patient may have no image."""
        true = np.zeros((len(site), len(OVERLAPS), BINS), dtype=np.int64)
        false, boxes = np.zeros_like(true), np.zeros(len(site), dtype=np.int64)
        for image in found:
            hits = _hits(image)
            bins = np.clip((BINS * np.sqrt(image.confidence)).astype(np.int64), 0, BINS - 1)
            for counts, marked in ((true, hits), (false, ~hits)):
                overlap, column = np.nonzero(marked)
                np.add.at(counts[image.patient], (overlap, bins[column]), 1)
            boxes[image.patient] += len(image.drawn)
        return cls(true, false, boxes, np.array(site, dtype=np.str_))

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Detected":
        """The patients at `index`, in that order."""
        return Detected(self.true[index], self.false[index], self.boxes[index], self.site[index])

    @classmethod
    def concat(cls, parts: Sequence["Detected"]) -> "Detected":
        """All patients of `parts`, in order."""
        fields = ("true", "false", "boxes", "site")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))


def measure_detected(detected: Detected, weights: Floats | None = None) -> dict[str, Floats]:
    """Every metric (D,), one value a row of `weights` (D, n) as in `measure`; NaN where nothing is drawn."""
    rows = np.ones((1, len(detected))) if weights is None else np.asarray(weights, dtype=np.float64)
    shape = (len(rows), len(OVERLAPS), BINS)
    counts = (rows @ part.reshape(len(detected), shape[1] * BINS) for part in (detected.true, detected.false))
    true, false = (part.reshape(shape) for part in counts)
    return detection_metrics(true, false, rows @ detected.boxes.astype(np.float64))


def detection_metrics(true: Floats, false: Floats, boxes: Floats) -> dict[str, Floats]:
    """The metrics (D,) of counts (D, 10, 256) and of the numbers of drawn boxes (D,); NaN where that is 0."""
    hits = np.cumsum(true[..., ::-1], axis=-1)
    recall = divide(hits, boxes[:, None, None])
    precision = divide(hits, hits + np.cumsum(false[..., ::-1], axis=-1))
    precision = np.where(np.isnan(precision), 1.0, precision)  # nothing found down to here
    envelope = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    areas = np.where(boxes[:, None] > 0, _areas(recall, envelope), np.nan)
    return {"map50": areas[:, 0], "map50_95": areas.mean(axis=1), "recall_25": recall[:, 0, HALF - 1]}


def _areas(recall: Floats, envelope: Floats) -> Floats:
    """(D, 10) areas under precision by recall (D, 10, 256), read at 101 recalls; 0 from the largest one reached on.

    As in ultralytics' `compute_ap`: there a faultless detector has .995, since the reading at recall 1 is 0 as well.
    """
    zero = np.zeros_like(recall[..., :1])
    x = np.concatenate([zero, recall, recall[..., -1:], zero + 1], axis=-1)
    y = np.concatenate([envelope[..., :1], envelope, zero, zero], axis=-1)
    lines = zip(x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1]), strict=True)
    read = np.array([np.interp(RECALLS, *line) for line in lines]).reshape(*recall.shape[:2], len(RECALLS))
    areas: Floats = np.trapezoid(read, RECALLS, axis=-1)
    return areas


def _hits(image: Found) -> npt.NDArray[np.bool_]:
    """(10, k): whether each found box is true at each overlap."""
    hits = np.zeros((len(OVERLAPS), len(image.boxes)), dtype=bool)
    overlap = _overlaps(image.boxes, image.drawn)
    order = np.argsort(-image.confidence, kind="stable")
    for level, least in enumerate(OVERLAPS):
        free = np.ones(len(image.drawn), dtype=bool)
        for box in order[(overlap[order] >= least).any(axis=1)]:
            candidates = np.where(free & (overlap[box] >= least), overlap[box], 0.0)
            if candidates.any():
                hits[level, box], free[candidates.argmax()] = True, False
    return hits


def _overlaps(a: Boxes, b: Boxes) -> Floats:
    """Intersection over union of every pair: (k, m)."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    area_a, area_b = (np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=-1) for boxes in (a, b))
    quotient = divide(shared, area_a[:, None] + area_b[None, :] - shared)
    overlap: Floats = np.nan_to_num(quotient)
    return overlap
