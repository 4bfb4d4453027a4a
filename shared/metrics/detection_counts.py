"""Found boxes as counts that add up over hospitals; mean precision is read from their sum exactly as from patients."""

from collections.abc import Mapping

import numpy as np

from shared.metrics.detection import BINS, OVERLAPS, Detected, detection_metrics
from shared.metrics.scored import Floats

__all__ = ["ENTRIES", "count_detection", "detection_result"]

GRID = len(OVERLAPS) * BINS
ENTRIES = {"n": 1, "boxes": 1, "true_found": GRID, "false_found": GRID}
"""Entry -> its length; the grids are flat, overlap by overlap."""


def count_detection(detected: Detected) -> dict[str, Floats]:
    """Arrays that add up over hospitals, of the sizes in `ENTRIES`."""
    return {
        "n": np.array([len(detected)], dtype=np.float64),
        "boxes": np.array([detected.boxes.sum()], dtype=np.float64),
        "true_found": detected.true.sum(axis=0).ravel().astype(np.float64),
        "false_found": detected.false.sum(axis=0).ravel().astype(np.float64),
    }


def detection_result(entries: Mapping[str, Floats]) -> dict[str, float | None]:
    """The metrics of summed arrays; None where nothing is drawn."""
    true, false = (entries[name].reshape(1, len(OVERLAPS), BINS) for name in ("true_found", "false_found"))
    found = detection_metrics(true, false, entries["boxes"])
    return {name: None if np.isnan(value[0]) else float(value[0]) for name, value in found.items()}
