"""What stands in a radiograph: a long bone and its lesion, as a few numbers; radiograph.py draws them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SHAPE", "Scene", "draw_scene"]

SHAPE = (384, 288)  # rows, columns
VERTICES = 96
LOBES = (2, 3, 4, 5)


@dataclass(frozen=True)
class Scene:
    """Lengths in pixels, angles in radians; the joint lies at the upper end of the picture unless `flipped`.

    `waves` are cosine and sine coefficients of the lesion's border for each of LOBES, as shares of the radius.
    """

    axis: float  # column of the bone's axis in the middle of the picture
    tilt: float  # columns that the axis moves over one row
    shaft: float  # half width of the shaft
    flare: float  # half width at the joint, as a multiple of that of the shaft
    joint: float  # row where the bone ends
    cortex: float  # thickness as a share of the shaft's half width
    lesion: tuple[float, float]  # row and column of its centre
    radius: float
    elongation: float  # along the bone
    waves: tuple[tuple[float, float], ...]
    flipped: bool

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The lesion's box x0, y0, x1, y1 in the picture, x1 and y1 outside of it."""
        angle = np.arange(VERTICES) * (2 * np.pi / VERTICES)
        border = self.border(angle)
        y = self.lesion[0] + border * np.sin(angle) * self.elongation
        x = self.lesion[1] + border * np.cos(angle)
        rows, columns = SHAPE
        y = rows - 1 - y if self.flipped else y
        low = int(max(np.floor(x.min()), 0)), int(max(np.floor(y.min()), 0))
        return *low, int(min(np.ceil(x.max()) + 1, columns)), int(min(np.ceil(y.max()) + 1, rows))

    def border(self, angle: NDArray[np.floating]) -> NDArray[np.floating]:
        """Distance of the lesion's border from its centre in each direction, before elongation."""
        lobes = sum(a * np.cos(k * angle) + b * np.sin(k * angle) for k, (a, b) in zip(LOBES, self.waves, strict=True))
        border: NDArray[np.floating] = self.radius * (1 + lobes)
        return border


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draw the bone and where its lesion lies; nothing here depends on the patient's class."""
    rows, columns = SHAPE
    axis, tilt, shaft = columns * rng.uniform(0.45, 0.55), rng.normal(0, 0.05), rng.uniform(32, 40)
    joint, row = rng.uniform(14, 30), rng.uniform(0.36, 0.52) * rows
    return Scene(
        axis=float(axis),
        tilt=float(tilt),
        shaft=float(shaft),
        flare=float(rng.uniform(1.75, 2.1)),
        joint=float(joint),
        cortex=float(rng.uniform(0.26, 0.34)),
        lesion=(float(row), float(axis + tilt * (row - rows / 2) + shaft * rng.uniform(-0.45, 0.45))),
        radius=float(rng.uniform(34, 46)),
        elongation=float(rng.uniform(1.0, 1.4)),
        waves=tuple((float(a), float(b)) for a, b in rng.normal(0, 0.10, (len(LOBES), 2)) / np.array(LOBES)[:, None]),
        flipped=bool(rng.random() < 0.5),
    )
