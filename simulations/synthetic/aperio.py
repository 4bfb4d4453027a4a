"""Write pixels as a pyramidal tiled JPEG that OpenSlide opens as an Aperio slide."""

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

__all__ = ["write_aperio"]

TILE = (256, 256)


def write_aperio(path: Path, pixels: NDArray[np.uint8], *, mpp: float, power: int, jpeg_quality: int) -> None:
    """Write (height, width, 3) uint8 at `mpp` um per pixel, with a second level four times smaller.

    The description line is what makes it Aperio's: OpenSlide takes `openslide.mpp-x` and the objective power from it.
    No date and no software version are written, so equal pixels give equal bytes.
    """
    height, width, _ = pixels.shape
    quarter = pixels[: height // 4 * 4, : width // 4 * 4].reshape(height // 4, 4, width // 4, 4, 3)
    levels = (pixels, np.rint(quarter.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8))
    with tifffile.TiffWriter(path) as tiff:
        for number, level in enumerate(levels):
            rows, columns, _ = level.shape
            frame = f"{width}x{height} [0,0 {width}x{height}] (256x256)"
            reduced = f" -> {columns}x{rows}" if number else ""
            tiff.write(
                level,
                photometric="rgb",
                tile=TILE,
                compression="jpeg",
                compressionargs={"level": jpeg_quality},
                subfiletype=1 if number else 0,
                metadata=None,
                software=False,
                maxworkers=1,
                description=(
                    f"Aperio Image Library v11.2.1\n{frame}{reduced} JPEG/RGB Q={jpeg_quality}"
                    f"|AppMag = {power}|MPP = {mpp:.4f}"
                ),
            )
