"""Slides that need not be encoded again: those of an earlier run, and those in another store of the same site."""

import os
import shutil
from pathlib import Path

from client.prepare.encoders import Encoder
from client.prepare.slides.resolution import slide_mpp
from client.prepare.slides.slide import open_slide
from shared.cohort.bag_files import Attribute, bag_is_whole, read_bag_attributes
from shared.cohort.drafts import replacing
from shared.errors import SlideError
from shared.study import Slides

__all__ = ["RECIPE", "identity", "is_encoded", "take_from_another_store", "thumbnail_of"]

RECIPE = 1
"""Raised whenever tiling, tissue, quality, stain or the reading of imported files change the features of a slide."""


def identity(settings: Slides, encoder: Encoder, slide_sha256: str, written_mpp: float | None) -> dict[str, Attribute]:
    """The attributes that decide whether a bag is the one that is wanted."""
    return {
        "schema": 1,
        "recipe": RECIPE,
        "encoder": encoder.name,
        "encoder_sha256": encoder.sha256,
        "recipe_sha256": encoder.recipe_sha256,
        "dim": encoder.dim,
        "mpp": settings.mpp,
        "tile": settings.tile,
        "max_patches": settings.max_patches,
        "stain": settings.stain,
        "quality": int(settings.quality),
        "precision": encoder.precision,
        "engine": encoder.engine,
        "slide_sha256": slide_sha256,
        "written_mpp": 0.0 if written_mpp is None else written_mpp,
    }


def is_encoded(target: Path, wanted: dict[str, Attribute], source: Path) -> bool:
    """Whether `target` is a whole slide file with the attributes `wanted`, which are those of the slide `source`.

    Another resolution in slides.tsv is none where the slide states its own.
    """
    found = read_bag_attributes(target)
    others = [name for name in wanted if found.get(name) != wanted[name]]
    if others == ["written_mpp"]:
        return _states(source, wanted["written_mpp"], found.get("slide_mpp")) and bag_is_whole(target)
    return not others and bag_is_whole(target)


def take_from_another_store(target: Path, wanted: dict[str, Attribute], source: Path) -> bool:
    """Link the same slide file of another store into this one, its thumbnail too; whether there was one.

    `target` is <stores>/<store>/slides/<slide_id>.h5. Slide files are only ever replaced, never changed, so that two
    stores can hold one.
    """
    store = target.parent.parent
    for other in sorted(store.parent.glob(f"*/slides/{target.name}")):
        if other.parent.parent != store and is_encoded(other, wanted, source):
            if thumbnail_of(other).is_file():
                _link(thumbnail_of(other), thumbnail_of(target))
            _link(other, target)
            return True
    return False


def thumbnail_of(target: Path) -> Path:
    """Where the picture of the slide file `target` lies."""
    return target.parent.parent / "thumbnails" / f"{target.stem}.jpg"


def _link(other: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as draft:
        try:
            os.link(other, draft)
        except OSError:  # a file system without hard links
            shutil.copyfile(other, draft)


def _states(source: Path, written: Attribute, known: Attribute | None) -> bool:
    """Whether the slide has the resolution `known` even with `written` in slides.tsv."""
    try:
        with open_slide(source) as slide:
            return slide_mpp(slide, float(written) or None) == known
    except SlideError:
        return False
