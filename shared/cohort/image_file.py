"""imaging.h5 of a feature store: the encoded clinical images of a site (CONTRACT.md section 4)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from shared.cohort.hdf5_draft import writing_hdf5

__all__ = ["Images", "read_images", "write_images"]

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class Images:
    """The I images of a site in the order of case_id and image_id; a patient may have several, or none."""

    features: NDArray[np.float32]  # (I, d)
    boxes: NDArray[np.float32]  # (I, 4): x0, y0, x1, y1 in px of the image; the whole image where no box was found
    box_found: NDArray[np.bool_]  # (I,)
    keys: tuple[str, ...]  # I patient keys
    image_id: tuple[str, ...]  # I names
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)  # encoder, detector: where it comes from

    def take(self, kept: NDArray[np.bool_]) -> "Images":
        """The images marked in `kept` (I,)."""
        chosen = np.flatnonzero(kept)
        keys, names = (tuple(words[i] for i in chosen) for words in (self.keys, self.image_id))
        return Images(self.features[chosen], self.boxes[chosen], self.box_found[chosen], keys, names, self.attributes)


def write_images(path: Path, images: Images) -> None:
    """Write one HDF5 file, whole or not at all."""
    with writing_hdf5(path) as (file, _):
        for name, value in sorted({**images.attributes, "schema": SCHEMA}.items()):
            file.attrs[name] = value
        for name in ("features", "boxes", "box_found"):
            file.create_dataset(name, data=getattr(images, name), track_times=False)
        for name in ("keys", "image_id"):
            words = np.array(getattr(images, name), dtype=h5py.string_dtype())
            file.create_dataset(name, data=words, track_times=False)


def read_images(path: Path) -> Images:
    """Read what `write_images` wrote."""
    with h5py.File(path) as file:
        return Images(
            features=file["features"][:],
            boxes=file["boxes"][:],
            box_found=file["box_found"][:],
            keys=tuple(file["keys"].asstr()[:]),
            image_id=tuple(file["image_id"].asstr()[:]),
            attributes={name: getattr(value, "item", lambda v=value: v)() for name, value in file.attrs.items()},
        )
