"""Whether an expression table is on the scale that its site file says, and its way to the log scale."""

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shared.cohort.normalise import PUBLIC_RANGE

__all__ = ["Scale", "likely_scale", "on_log_scale", "scale_fault"]

Scale = Literal["tpm", "counts", "log2", "z"]

TOLERATED = 0.05
"""Share of cells that may lie outside: real z-scored tables have outliers of 3500, yet under 1 % of cells beyond 10."""

LOG2_LIMIT = 30.0
"""No measured log2 value reaches it, whatever its unit."""

NEAR_ZERO = 0.5
"""Below it lies the median of |mean of a gene| when a table is z-scored; that of log2 values is several units."""


def likely_scale(table: pd.DataFrame) -> Literal["tpm", "log2", "z"]:
    """The scale that a table (genes, patients) seems to be on.

    Without negative values `tpm` if some are too large for log2, else `log2`. With negative values `z` if most genes
    have a mean near 0, else `log2`: of TPM plus a small constant, say, whose negative values then count as 0.
    """
    cells = _cells(table)
    if cells.size and cells.min() < 0:
        return "z" if float(table.mean(axis=1).abs().median()) < NEAR_ZERO else "log2"
    large = cells.size and (
        np.percentile(cells, 99) > LOG2_LIMIT or _share_outside(cells, *PUBLIC_RANGE["log2"]) > TOLERATED
    )
    return "tpm" if large else "log2"


def on_log_scale(table: pd.DataFrame, totals: NDArray[np.float64], scale: Scale) -> pd.DataFrame:
    """A table (genes, patients) of `scale` as log2(x + 1), or as it is if it is on the log2 or z scale already.

    Counts become counts per million first; `totals` (patients,) are the sums of each patient over all genes.
    """
    if scale == "log2" or scale == "z":
        return table
    if scale == "counts":
        table = table.div(np.where(totals > 0, totals, np.nan), axis="columns").mul(1e6)
    return pd.DataFrame(np.log2(table.to_numpy() + 1), index=table.index, columns=table.columns)


def scale_fault(table: pd.DataFrame, scale: Scale) -> str:
    """What is wrong with the values of a table (genes, samples), "" if nothing is.

    On the log2 and z scales: too many cells lie outside the public range, or they are TPM. TPM and counts: a cell is
    negative.
    """
    if scale == "tpm" or scale == "counts":
        return _negative_fault(_cells(table), scale)
    cells, (low, high) = _cells(table), PUBLIC_RANGE[scale]
    likely = likely_scale(table)
    below_is_meant = scale == likely == "log2"
    outside = _share_outside(cells, -np.inf if below_is_meant else low, high)
    if outside <= TOLERATED and not (scale == "log2" and likely == "tpm"):
        return ""
    advice = {"tpm": '"tpm" or "counts"', "log2": '"log2"', "z": '"z"'}[likely]
    what = (
        f"write scale = {advice} in [expression]" if likely != scale else "bring the table to one of the known scales"
    )
    return (
        f"expected values from {low:g} to {high:g}, since the site file says expression.scale = {scale!r}, "
        f"got {cells.min():g} to {cells.max():g} with {outside:.0%} of cells outside; {what}"
    )


def _negative_fault(cells: NDArray[np.float64], scale: Scale) -> str:
    if not cells.size or cells.min() >= 0:
        return ""
    return (
        f"expected values of 0 and above, since the site file says expression.scale = {scale!r}, "
        f'got {cells.min():g}; write scale = "log2" or "z" if that is what they are'
    )


def _cells(table: pd.DataFrame) -> NDArray[np.float64]:
    values: NDArray[np.float64] = table.to_numpy(dtype=np.float64).ravel()
    observed: NDArray[np.float64] = values[~np.isnan(values)]
    return observed


def _share_outside(cells: NDArray[np.float64], low: float, high: float) -> float:
    return float(np.mean((cells < low) | (cells > high))) if cells.size else 0.0
