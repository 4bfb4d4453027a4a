"""Attention as a picture of the slide, and as tiles that QuPath opens."""

from typing import IO, Any

from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from client.heatmap.attention import TileAttention
from client.prepare.slides.overview import read_overview
from client.prepare.slides.slide import WholeSlide

__all__ = ["draw_picture", "tiles_for_qupath"]

PICTURE = 1600  # px, the longer side of the slide in the picture
COLOURS = "inferno"  # even steps for the eye, and readable without colour vision
OPACITY = 0.55
CLASS = {"name": "Attention", "color": [252, 165, 10]}


def draw_picture(slide: WholeSlide, attention: TileAttention, side: float, file: IO[bytes]) -> None:
    """The slide with its tiles coloured from 0 to the largest weight on it; equal input gives equal bytes."""
    width, height = slide.dimensions
    overview = read_overview(slide, max(width, height) / PICTURE)
    across = 9.0
    figure = Figure(figsize=(across, min(14.0, max(3.0, 0.85 * across * height / width)) + 0.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(overview.pixels, extent=(0, width, height, 0), interpolation="bilinear")
    scale = ScalarMappable(Normalize(0, 1), colormaps[COLOURS])
    squares = [Rectangle((float(x), float(y)), side, side) for x, y in attention.corners]
    colours = scale.to_rgba(attention.shares, alpha=OPACITY)
    axes.add_collection(PatchCollection(squares, facecolors=colours, edgecolors="none"))
    axes.set_axis_off()
    bar = figure.colorbar(scale, ax=axes, shrink=0.7, pad=0.02)
    bar.set_label("attention, share of the highest on this slide")
    axes.set_title(f"{attention.prediction}\n{len(squares)} tiles", fontsize=10)
    figure.savefig(file, format="png", dpi=150, metadata={"Software": None})


def tiles_for_qupath(attention: TileAttention, side: float) -> dict[str, Any]:
    """Tiles as QuPath imports them (File > Import objects): squares in level-0 pixels, named measurements."""
    colours = (colormaps[COLOURS](attention.shares)[:, :3] * 255).round().astype(int).tolist()
    features = []
    for (x, y), weight, share, colour in zip(
        attention.corners.tolist(), attention.weights.tolist(), attention.shares.tolist(), colours, strict=True
    ):
        right, bottom = round(x + side), round(y + side)
        features.append(
            {
                "type": "Feature",
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [[[x, y], [right, y], [right, bottom], [x, bottom], [x, y]]],
                },
                "properties": {
                    "objectType": "tile",
                    "name": f"attention {share:.3f}",
                    "color": colour,
                    "classification": CLASS,
                    "isLocked": True,
                    "measurements": [
                        {"name": "Attention share of slide maximum", "value": share},
                        {"name": "Attention weight", "value": weight},
                    ],
                },
            }
        )
    return {"type": "FeatureCollection", "features": features}
