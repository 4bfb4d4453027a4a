"""Where a trained model looked on one slide of this site."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from client.heatmap.attention import TileAttention, attend
from client.heatmap.drawing import draw_picture, tiles_for_qupath
from client.prepare.slides.resolution import slide_mpp
from client.prepare.slides.slide import WholeSlide, open_slide
from client.prepare.slides.tiling import TileGrid
from shared.cohort.drafts import replacing
from shared.cohort.tables import read_slides
from shared.errors import BadInput
from shared.site import Site
from shared.study import Study

__all__ = ["Heatmap", "draw_heatmap"]


@dataclass(frozen=True)
class Heatmap:
    """The two files of a heatmap, and what the model said of the patient."""

    picture: Path  # PNG
    tiles: Path  # GeoJSON
    prediction: str
    seen: int  # tiles of this slide that the model saw


def draw_heatmap(site: Site, study: Study, model: Path, slide_id: str, out: Path | None = None) -> Heatmap:
    """Write <slide_id>.png and <slide_id>.geojson: the attention of a trained model on one slide of this site.

    The weights are those with which the model pools the patches of the patient, all slides in one bag; they say where
    it looked, not why, and are no segmentation. The colours are scaled within this slide; the file for QuPath has both
    the share of the slide's highest weight and the weight itself.

    Parameters
    ----------
    study
        A resolved study that this site has prepared.
    model
        The `model.safetensors` of a run; `gene_stats.safetensors` is taken from beside it where the study needs it.
    slide_id
        As in slides.tsv, without suffix.
    out
        A folder; by default `heatmaps` in the site's state folder.

    Raises
    ------
    BadInput
        Nothing is prepared, the slide is unknown or was left out, the model is another study's, or it pays no
        attention to patches.
    SlideError
        The slide cannot be read any more.
    """
    attention = attend(site, study, model, slide_id)
    path, written = _slide_file(site, slide_id)
    folder = site.state / "heatmaps" if out is None else out
    folder.mkdir(parents=True, exist_ok=True)
    picture, tiles = folder / f"{slide_id}.png", folder / f"{slide_id}.geojson"
    with open_slide(path) as slide:
        side = _side(slide, attention, written)
        with replacing(picture) as draft, draft.open("wb") as file:
            draw_picture(slide, attention, side, file)
    with replacing(tiles) as draft:
        draft.write_text(json.dumps(tiles_for_qupath(attention, side)), encoding="utf-8")
    return Heatmap(picture, tiles, attention.prediction, len(attention.weights))


def _slide_file(site: Site, slide_id: str) -> tuple[Path, float | None]:
    """The slide itself, and what slides.tsv says of its um per pixel."""
    listed = read_slides(site.data)
    if listed is not None:
        path, mpp = listed.loc[listed["slide_id"] == slide_id, ["path", "mpp"]].iloc[0]
        if path is not None:
            return path, None if np.isnan(mpp) else float(mpp)
    raise BadInput("expected the slide in the data folder, got its features only; copy the slide there to draw on it")


def _side(slide: WholeSlide, attention: TileAttention, written: float | None) -> float:
    """The side of a tile in level-0 pixels."""
    attributes = attention.attributes
    mpp = float(attributes.get("slide_mpp", 0)) or slide_mpp(slide, written)
    return TileGrid.of(slide, mpp, tile=int(attributes["tile"]), mpp=float(attributes["mpp"])).side
