"""All clinical images of a site: whose each is, what became of it, and the features of its lesion."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from client.prepare.encoders import Encoder
from client.prepare.imaging.crop import inside, square_tile, whole
from client.prepare.imaging.detector import Detector, open_detector
from client.prepare.imaging.pictures import Picture, read_picture
from client.prepare.patients import Roster
from client.prepare.report import PrepareReport, Progress
from shared.cohort.image_file import Images
from shared.cohort.imaging_sheet import Box, ListedImage, read_imaging, unlisted_images
from shared.errors import CohortError, ImageError
from shared.site import Site
from shared.study import Imaging

__all__ = ["prepare_images"]


@dataclass(frozen=True)
class Cut:
    """One image that is in the store."""

    key: str
    image_id: str
    box: Box  # the whole image where none was found
    found: bool


Tile = NDArray[np.uint8]  # (224, 224, 3)


def prepare_images(
    site: Site, settings: Imaging, encoder: Encoder, roster: Roster, report: PrepareReport, progress: Progress
) -> Images:
    """Cut and encode the images of every patient of the roster, in the order of case_id and image_id.

    With `crop`, the site's detector finds the lesion on all images, those with drawn boxes included, so that patients
    the model learns from and new ones are treated alike; a site without a detector uses the largest box that its
    people drew. Without a box, or without `crop`, the whole image is encoded and `box_found` is False. An image that
    cannot be used, or whose drawn box does not fit it, is recorded and the others go on; so is imaging.csv as a whole.

    Raises
    ------
    SiteFileError
        The detector that the site file names is missing or not the one it states.
    """
    try:
        listed = read_imaging(site.data) or []
    except CohortError as exc:
        report.add("imaging.csv", "left out", "; ".join(line.strip() for line in str(exc).splitlines()))
        listed = []
    for path in unlisted_images(site.data, listed):
        report.add(f"imaging/{path.name}", "left out", "not listed in imaging.csv, so nobody's")
    jobs = [image for image in listed if image.case_id not in roster.excluded]
    detector = open_detector(site) if settings.crop and jobs else None
    work = _cut_all(jobs, settings, detector, roster, report, progress)
    cuts: list[Cut] = []
    features = [np.empty((0, encoder.dim), np.float32)]
    while batch := list(islice(work, encoder.batch)):
        tiles = np.stack([tile for _, tile in batch])
        if not cuts:  # bf16 is held against fp32 once, on real tiles
            encoder = encoder.verified(tiles)
        cuts += [cut for cut, _ in batch]
        features.append(encoder.encode(tiles))
    if encoder.note:
        report.add(f"encoder {encoder.name}", "noted", encoder.note)
    return Images(
        features=np.concatenate(features),
        boxes=np.array([cut.box for cut in cuts], dtype=np.float32).reshape(-1, 4),
        box_found=np.array([cut.found for cut in cuts], dtype=bool),
        keys=tuple(cut.key for cut in cuts),
        image_id=tuple(cut.image_id for cut in cuts),
        attributes=_attributes(encoder, detector),
    )


def _cut_all(
    jobs: Sequence[ListedImage],
    settings: Imaging,
    detector: Detector | None,
    roster: Roster,
    report: PrepareReport,
    progress: Progress,
) -> Iterator[tuple[Cut, Tile]]:
    """The images that are used, in order, each with its tile; all are recorded."""
    used: Counter[str] = Counter()
    keys = roster.keys
    for done, image in enumerate(jobs, start=1):
        key = keys.get(image.case_id, "")
        add = partial(
            report.add,
            f"imaging/{image.path.name if image.path else image.image_id}",
            key=key,
            case_id=image.case_id,
        )
        if key and used[key] >= settings.max_images:
            add("noted", f"not used: the study takes at most {settings.max_images} images a patient")
        else:
            start = time.perf_counter()
            try:
                picture = _opened(image, key)
                box, reason = _lesion(picture, image, settings, detector)
            except ImageError as exc:
                add("left out", str(exc), seconds=time.perf_counter() - start)
            else:
                used[key] += 1
                if picture.note:
                    add("noted", picture.note)
                add("used", reason, seconds=time.perf_counter() - start)
                cut = Cut(key, image.image_id, box or whole(picture.pixels), box is not None)
                yield cut, square_tile(picture.pixels, box)
        progress("imaging", done, len(jobs))


def _opened(image: ListedImage, key: str) -> Picture:
    """The picture; ImageError says why there is none."""
    if not key:
        raise ImageError("not in clinical.tsv")
    if image.path is None:
        raise ImageError("listed in imaging.csv, but no such file")
    if image.fault:
        raise ImageError(image.fault)
    return read_picture(image.path)


def _lesion(
    picture: Picture, image: ListedImage, settings: Imaging, detector: Detector | None
) -> tuple[Box | None, str]:
    """The box to cut out, None for the whole image, and how that came."""
    drawn = [inside(box, picture.pixels) for box in image.boxes]
    if not settings.crop:
        return None, "whole image"
    if detector is not None:
        lesion = detector.find(picture.pixels)
        if lesion is None:
            return None, "whole image: the detector found no lesion"
        return lesion.box, f"lesion found with confidence {lesion.confidence:.2f}"
    if not drawn:
        return None, "whole image: no box was drawn, and the site has no detector"
    largest = max(drawn, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    return largest, "lesion as drawn" if len(drawn) == 1 else f"largest of {len(drawn)} lesions as drawn"


def _attributes(encoder: Encoder, detector: Detector | None) -> dict[str, str | int | float]:
    """Where the features come from."""
    return {
        "encoder": encoder.name,
        "encoder_sha256": encoder.sha256,
        "recipe_sha256": encoder.recipe_sha256,
        "dim": encoder.dim,
        "precision": encoder.precision,
        "engine": encoder.engine,
        "detector_sha256": detector.sha256 if detector else "",
        **encoder.fidelity,
    }
