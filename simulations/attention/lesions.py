"""How much of a tile lies in the lesion that was drawn on a synthetic slide."""

import json
from pathlib import Path

import numpy as np
from matplotlib.path import Path as Outline
from numpy.typing import NDArray

from simulations.attention.patients import SeenTiles

__all__ = ["drawn_lesion", "lesion_shares"]

POINTS = 16
"""Points along a tile's side that are looked up: a share is exact to about 1 / 16."""


def drawn_lesion(slide: Path) -> NDArray[np.float64] | None:
    """The outline (vertices, 2) in level-0 px that lies beside a synthetic slide as GeoJSON; None without one."""
    path = slide.resolve().with_suffix(".geojson")  # a hospital's slide is a link into the cohort
    if not path.is_file():
        return None
    (feature,) = json.loads(path.read_text(encoding="utf-8"))["features"]
    return np.array(feature["geometry"]["coordinates"][0])


def lesion_shares(tiles: SeenTiles, outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of each tile that lies within the outline: (n,), 0 to 1."""
    along = (np.arange(POINTS) + 0.5) * tiles.side / POINTS
    offsets = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
    points = (tiles.corners[:, None, :] + offsets[None]).reshape(-1, 2)
    inside = Outline(outline).contains_points(points).reshape(len(tiles.corners), POINTS**2)
    return np.asarray(inside.mean(axis=1))
