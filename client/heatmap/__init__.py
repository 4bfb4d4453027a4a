"""`mmfed-client heatmap`: the attention of a trained model on a slide, as a picture and for QuPath."""

from client.heatmap.heatmap import Heatmap, draw_heatmap

__all__ = ["Heatmap", "draw_heatmap"]
