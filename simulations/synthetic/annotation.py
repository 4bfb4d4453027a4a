"""The lesion of a slide as GeoJSON, in the shape that QuPath reads and writes."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["write_lesion"]


def write_lesion(path: Path, outline: NDArray[np.float64]) -> None:
    """Write one polygon in level-0 pixels from its vertices (n, 2), which need not be closed."""
    ring = [[round(float(x), 1), round(float(y), 1)] for x, y in outline]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "properties": {"objectType": "annotation", "name": "lesion", "classification": {"name": "Tumor"}},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}) + "\n", encoding="utf-8")
