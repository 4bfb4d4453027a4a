"""From sample values of any depth to grey levels of 8 bits: the window of DICOM, else the range of the picture."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from shared.errors import ImageError

__all__ = ["WindowShape", "full_range", "windowed"]

WindowShape = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
LOW, HIGH = 0.5, 99.5
"""Percentiles that become black and white where no window is stated."""


def windowed(values: NDArray[np.float64], centre: float, width: float, shape: str) -> NDArray[np.uint8]:
    """Grey levels of `values` (any shape) under a window; ImageError for a shape that DICOM does not know.

    Source: DICOM PS3.3 C.11.2.1.2 (linear), C.11.2.1.3.1 (sigmoid), C.11.2.1.3.2 (linear, exact).
    """
    match shape:
        case "LINEAR" if width > 1:
            share = (values - (centre - 0.5)) / (width - 1) + 0.5
        case "LINEAR":
            share = (values > centre - 0.5).astype(np.float64)
        case "LINEAR_EXACT":
            share = (values - centre) / width + 0.5
        case "SIGMOID":
            share = 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
        case _:
            names = ", ".join(get_args(WindowShape))
            raise ImageError(f"expected a VOI LUT function among {names}, got {shape!r}; export the image again")
    return _grey(share)


def full_range(values: NDArray[np.float64], counted: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Grey levels between the 0.5 and 99.5 percentiles of `values` (H, W), of the `counted` ones where given.

    A picture of one value becomes black.
    """
    sample = values if counted is None or not counted.any() else values[counted]
    low, high = np.percentile(sample, [LOW, HIGH])
    if high == low:
        low, high = float(sample.min()), float(sample.max())
    return _grey((values - low) / (high - low) if high > low else np.zeros_like(values))


def _grey(share: NDArray[np.float64]) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    return levels
