"""A site's pictures for a detection study, with the lesions that its people drew, all of one size."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from client.prepare.imaging.crop import inside
from client.prepare.imaging.pictures import read_picture
from shared.cohort.imaging_sheet import Box, ListedImage, read_imaging
from shared.cohort.splits import split_patients
from shared.errors import ImageError, Refused
from shared.site import Site
from shared.study import Study

__all__ = ["GREY", "Example", "SitePictures", "fitted", "load_pictures"]

GREY = 114
"""What stands beside a picture that is no square, as in ultralytics."""


@dataclass(frozen=True, eq=False)
class Example:
    """One picture of a patient, scaled to the study's square."""

    case_id: str
    pixels: Tensor  # (3, S, S) uint8
    boxes: Tensor  # (m, 4) float32, in px of the square


@dataclass(frozen=True, eq=False)
class SitePictures:
    """A site's usable pictures for one detection study."""

    train: tuple[Example, ...]
    test: tuple[Example, ...]
    boxed: NDArray[np.bool_]  # (test patients,) whether a patient has a drawn lesion
    excluded: Counter[str]  # reason -> pictures, or for exclude.csv patients, left out

    @property
    def patients(self) -> int:
        """Training patients."""
        return len({example.case_id for example in self.train})


def load_pictures(site: Site, study: Study, withdrawn: Collection[str] = frozenset()) -> SitePictures:
    """Read and scale every picture of imaging.csv.

    Patients are split as in any other study, those with a drawn lesion apart from those without. Where a hospital marks
    lesions, a picture without a box is an example of nothing to find.

    Parameters
    ----------
    withdrawn
        Case ids of exclude.csv. They are dropped after the split, so that nobody else changes sides.

    Raises
    ------
    Refused
        NO_PATIENTS when no lesion is drawn on a readable picture.
    """
    size, excluded = int(study.model.options["image_size"]), Counter[str]()
    examples = [example for image in _listed(site, study) if (example := _example(image, size, excluded))]
    boxed = {example.case_id for example in examples if len(example.boxes)}
    if not boxed - set(withdrawn):
        raise Refused("NO_PATIENTS", "expected pictures with drawn lesions, got none; mark some in imaging.csv")
    cases = sorted({example.case_id for example in examples})
    test = split_patients(study, cases, [int(case in boxed) for case in cases])
    tested = {case for case, chosen in zip(cases, test, strict=True) if chosen}
    stay = [example for example in examples if example.case_id not in withdrawn]
    if left := len(set(cases) & set(withdrawn)):
        excluded["exclude.csv"] = left
    judging = sorted(tested - set(withdrawn))
    return SitePictures(
        train=tuple(example for example in stay if example.case_id not in tested),
        test=tuple(example for example in stay if example.case_id in tested),
        boxed=np.array([case in boxed for case in judging], dtype=bool),
        excluded=excluded,
    )


def fitted(pixels: NDArray[np.uint8], size: int) -> tuple[NDArray[np.uint8], float, tuple[int, int]]:
    """The picture (H, W, 3) in the middle of a grey square (size, size, 3), its new size over the old, its corner."""
    height, width = pixels.shape[:2]
    factor = size / max(height, width)
    wide, high = max(round(width * factor), 1), max(round(height * factor), 1)
    square = np.full((size, size, 3), GREY, dtype=np.uint8)
    x, y = (size - wide) // 2, (size - high) // 2
    scaled = Image.fromarray(pixels).resize((wide, high), Image.Resampling.BILINEAR)
    square[y : y + high, x : x + wide] = np.asarray(scaled)
    return square, factor, (x, y)


def _listed(site: Site, study: Study) -> list[ListedImage]:
    """The images with a file and without a fault, at most `max_images` a patient."""
    most = study.modalities.imaging.max_images if study.modalities.imaging else 0
    used: Counter[str] = Counter()
    images = []
    for image in read_imaging(site.data) or []:
        if image.path is not None and not image.fault and used[image.case_id] < most:
            used[image.case_id] += 1
            images.append(image)
    return images


def _example(image: ListedImage, size: int, excluded: Counter[str]) -> Example | None:
    """The scaled picture; None, and counted, if it cannot be used."""
    assert image.path is not None
    try:
        pixels = read_picture(image.path).pixels
        drawn = [inside(box, pixels) for box in image.boxes]
    except ImageError:
        excluded["a picture that cannot be used"] += 1
        return None
    square, factor, corner = fitted(pixels, size)
    return Example(image.case_id, torch.from_numpy(square).permute(2, 0, 1).contiguous(), _moved(drawn, factor, corner))


def _moved(boxes: list[Box], factor: float, corner: tuple[int, int]) -> Tensor:
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) * factor + torch.tensor([*corner, *corner])
