"""`mmfed-client --site A train-detector`: learn to find lesions from the boxes that the site's own people drew."""

import errno
import hashlib
import importlib.metadata
import math
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from client.prepare.imaging.crop import inside, shrunk
from client.prepare.imaging.detector import read_weights
from client.prepare.imaging.detector_file import DetectorCard, Quality, write_detector
from client.prepare.imaging.pictures import read_picture
from client.prepare.lock import detector_lock
from client.prepare.report import PrepareReport
from shared.cohort.imaging_sheet import ListedImage, read_imaging, unlisted_images
from shared.cohort.tables import read_exclusions
from shared.detection.networks import ARCHITECTURE, LARGEST, SMALLEST
from shared.detection.training import TrainingPlan, fit_detector
from shared.errors import BadInput, CohortError, ImageError, WorkFailed
from shared.site import Site

__all__ = ["FEWEST", "TrainedDetector", "train_detector"]

FEWEST = 10
"""Patients with a box that a training needs: two of them only judge."""
JUDGES = 0.2
"""Share of the patients that only judge."""
CLASSES = ("lesion",)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrainedDetector:
    """What `train_detector` made."""

    folder: Path
    quality: Quality
    report: PrepareReport  # one row an image

    def lines(self) -> list[str]:
        """The outcome as plain text that names no patient."""
        quality, counts = self.quality, self.report.counts
        return [
            f"images: {counts['used']} used, {counts['left out']} left out (see detector-report.csv)",
            f"judged on {quality.boxes} lesions in {quality.images} images of {quality.patients} patients "
            "it did not learn from:",
            f"  mAP@.5 {quality.map50:.3f}   mAP@.5:.95 {quality.map50_95:.3f}   recall at .25 {quality.recall_25:.3f}",
            f"detector written to {self.folder}; name it in the site file: [imaging] detector",
        ]


@dataclass(frozen=True)
class Example:
    """One image that can be learned from, and whether it only judges."""

    image: ListedImage
    judges: bool


def train_detector(
    site: Site,
    *,
    architecture: str = "yolov5s",
    image_size: int = 640,
    epochs: int = 100,
    batch: int = 16,
    weights: Path | None = None,
    weights_sha256: str = "",
    seed: int = 0,
    progress: Progress | None = None,
) -> TrainedDetector:
    """Train a lesion detector into <state>/detector from imaging.csv; writes <state>/detector-report.csv.

    All boxes are one class, `lesion`; images without a box are examples of nothing to find. Patients of exclude.csv
    are left out; others need not stand in clinical.tsv, since the pictures a detector learns from are best other than
    those a study uses: on its own training pictures it finds more than on new ones. A fifth of the patients, chosen
    by a hash, only judges. `weights` is where to begin: a folder of an earlier training, or an ultralytics .pt file
    with its `weights_sha256`; None begins from nothing. Copies of the pictures are deleted at the end. A second process
    waits until the first is done.

    Raises
    ------
    BadInput
        An option is out of range, imaging.csv is missing or malformed, or fewer than 10 patients have a box.
    WorkFailed
        The disk is full; an earlier detector is kept.
    """
    _check(architecture, image_size, epochs, batch)
    start = read_weights(weights, weights_sha256, site.state) if weights else None
    plan = TrainingPlan(
        data=site.state / "detector/work/data.yaml",
        folder=site.state / "detector/work",
        state=site.state,
        architecture=architecture,
        image_size=image_size,
        epochs=epochs,
        batch=batch,
        device=_device(site),
        seed=seed,
    )
    with _room_on_disk(site), detector_lock(site):
        return _train(site, plan, start, weights.name if weights else "", progress or _silent)


def _train(
    site: Site, plan: TrainingPlan, start: dict[str, torch.Tensor] | None, start_name: str, progress: Progress
) -> TrainedDetector:
    """Train in the plan's folder, which is deleted however it ends, and write the detector beside it."""
    folder, work = plan.folder.parent, plan.folder
    report = PrepareReport(folder)
    shutil.rmtree(work, ignore_errors=True)  # of a training that was killed
    work.mkdir(parents=True)
    try:
        found = _examples(site, plan.seed, report)
        examples = _write_data(work, found, plan.image_size, report, progress)
        trained, scores = fit_detector(plan, start, lambda done: progress("training", done, plan.epochs))
    finally:
        shutil.rmtree(work, ignore_errors=True)
        report.write(site.state / "detector-report.csv")
    card = _card(plan, examples, scores, start_name)
    write_detector(folder, card, trained)
    assert card.quality is not None
    return TrainedDetector(folder, card.quality, report)


@contextmanager
def _room_on_disk(site: Site) -> Iterator[None]:
    """A full disk ends the work with a sentence; the copies of pictures are gone."""
    try:
        yield
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise WorkFailed(
            f"expected room for copies of the pictures in {site.state}, got a full disk; free some space and run "
            "`train-detector` again"
        ) from exc


def _card(plan: TrainingPlan, examples: Sequence[Example], scores: dict[str, float], start: str) -> DetectorCard:
    judging = [example.image for example in examples if example.judges]
    learned = len(examples) - len(judging)
    return DetectorCard(
        architecture=plan.architecture,
        image_size=plan.image_size,
        classes=CLASSES,
        weights_sha256="",
        quality=Quality(
            **scores,
            images=len(judging),
            boxes=sum(len(image.boxes) for image in judging),
            patients=len({image.case_id for image in judging}),
        ),
        training={"epochs": plan.epochs, "batch": plan.batch, "seed": plan.seed, "images": learned, "start": start},
        software={name: importlib.metadata.version(name) for name in ("mmfed", "torch", "ultralytics")},
    )


def _check(architecture: str, image_size: int, epochs: int, batch: int) -> None:
    faults = []
    if not re.fullmatch(ARCHITECTURE, architecture):
        faults.append(f"expected an architecture such as yolov5n, yolov5s or yolo11n, got {architecture!r}; choose one")
    if image_size % 32 or not SMALLEST <= image_size <= LARGEST:
        faults.append(
            f"expected an image size from {SMALLEST} to {LARGEST} that 32 divides, got {image_size}; choose e.g. 640"
        )
    if epochs < 1 or batch < 1:
        faults.append(f"expected at least one epoch and one image a batch, got {epochs} and {batch}; correct them")
    if faults:
        raise BadInput("; ".join(faults))


def _examples(site: Site, seed: int, report: PrepareReport) -> list[Example]:
    """The images with a file and without a fault, in order; the others are recorded."""
    images = read_imaging(site.data)
    if images is None:
        raise CohortError(
            f"{site.data}: expected imaging.csv with columns case_id, image_id, modality, x0, y0, x1, y1, "
            "got no such file; write it"
        )
    excluded = read_exclusions(site.data)
    usable = []
    for image in images:
        fault = image.fault or ("" if image.path else "listed in imaging.csv, but no such file")
        if image.case_id not in excluded and fault:
            report.add(f"imaging/{image.image_id}", "left out", fault, case_id=image.case_id)
        elif image.case_id not in excluded:
            usable.append(image)
    for path in unlisted_images(site.data, images):
        report.add(f"imaging/{path.name}", "left out", "not listed in imaging.csv, so nobody's")
    _require_enough(usable)
    judges = _judges(usable, seed)
    return [Example(image, image.case_id in judges) for image in usable]


def _require_enough(images: Sequence[ListedImage]) -> None:
    """BadInput unless enough patients have a box."""
    boxed = {image.case_id for image in images if image.boxes}
    if len(boxed) < FEWEST:
        raise BadInput(
            f"imaging.csv: expected boxes of at least {FEWEST} patients, got {len(boxed)}; "
            "mark more lesions, or take a detector that others trained"
        )


def _judges(images: Sequence[ListedImage], seed: int) -> set[str]:
    """A fifth of the patients with a box and a fifth of those without, by the order of a hash."""
    boxed = {image.case_id for image in images if image.boxes}
    judges: set[str] = set()
    for cases in (boxed, {image.case_id for image in images} - boxed):
        order = sorted(cases, key=lambda case_id: hashlib.sha256(f"{seed}|detector|{case_id}".encode()).digest())
        judges |= set(order[: math.ceil(JUDGES * len(order))])
    return judges


def _write_data(
    work: Path, examples: Sequence[Example], longest: int, report: PrepareReport, progress: Progress
) -> list[Example]:
    """Write the data set as YOLO reads it, pictures named by number; those that could be opened."""
    written = []
    for done, example in enumerate(examples, start=1):
        image = example.image
        try:
            _write_example(work, done, example, longest)
        except ImageError as exc:
            report.add(f"imaging/{image.image_id}", "left out", str(exc), case_id=image.case_id)
        else:
            lesions = f"{len(image.boxes)} lesion{'' if len(image.boxes) == 1 else 's'}"
            report.add(
                f"imaging/{image.image_id}",
                "used",
                f"{'judging' if example.judges else 'learning'}: {lesions}",
                case_id=image.case_id,
            )
            written.append(example)
        progress("pictures", done, len(examples))
    _require_enough([example.image for example in written])
    if not any(example.judges and example.image.boxes for example in written):
        raise BadInput(
            "expected a readable picture with a box among those that judge, got none; "
            "look into detector-report.csv, and repair the pictures"
        )
    names = "".join(f"  {place}: {name}\n" for place, name in enumerate(CLASSES))
    (work / "data.yaml").write_text(
        f"path: {work.resolve().as_posix()}\ntrain: images/train\nval: images/val\nnames:\n{names}"
    )
    return written


def _write_example(work: Path, number: int, example: Example, longest: int) -> None:
    """Write one picture and its boxes (class, centre x and y, width and height, all over the picture's size)."""
    assert example.image.path is not None
    picture = read_picture(example.image.path)
    width, height = picture.size
    lines = []
    for x0, y0, x1, y1 in (inside(box, picture.pixels) for box in example.image.boxes):
        places = ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height)
        lines.append(" ".join(["0", *(f"{place:.6f}" for place in places)]))
    side = "val" if example.judges else "train"
    for kind in ("images", "labels"):
        (work / kind / side).mkdir(parents=True, exist_ok=True)
    Image.fromarray(shrunk(picture.pixels, longest)[0]).save(work / f"images/{side}/{number:06d}.png")
    (work / f"labels/{side}/{number:06d}.txt").write_text("\n".join(lines))


def _device(site: Site) -> str:
    if site.compute.device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    return "cuda:0" if site.compute.device == "cuda" else site.compute.device


def _silent(what: str, done: int, total: int) -> None:
    """No progress wanted."""
