"""Find the lesion on a clinical image with the detector that the site file names."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from client.prepare.imaging.crop import shrunk
from client.prepare.imaging.detector_file import configured_sha256, read_detector
from shared.cohort.imaging_sheet import Box
from shared.detection.looking import Predictor
from shared.detection.networks import build_network, unpickled_network
from shared.errors import SiteFileError
from shared.site import Site

__all__ = ["Detector", "Lesion", "open_detector", "read_weights"]


@dataclass(frozen=True)
class Lesion:
    """A box in px of the picture, and how sure the detector is, in (0, 1]."""

    box: Box
    confidence: float


class Detector:
    """A detector ready to look at pictures on the CPU; `sha256` decides, with the picture, what it finds."""

    def __init__(self, model: nn.Module, image_size: int, confidence: float, sha256: str, state: Path) -> None:
        self.sha256 = sha256
        self._image_size = image_size
        self._predictor = Predictor(model, image_size, confidence, state)

    def find(self, pixels: NDArray[np.uint8]) -> Lesion | None:
        """The most confident box on an RGB picture (H, W, 3), of whatever class; None if none is confident enough."""
        small, factor = shrunk(pixels, self._image_size)
        found, confidences = self._predictor.boxes(small)
        height, width = pixels.shape[:2]
        boxes = np.clip(found / factor, 0, [width, height, width, height])
        solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        if not solid.any():
            return None
        best = int(np.argmax(np.where(solid, confidences, -1)))
        x0, y0, x1, y1 = boxes[best].tolist()
        return Lesion((x0, y0, x1, y1), float(confidences[best]))


def open_detector(site: Site) -> Detector | None:
    """The detector that the site file names; None if it names none.

    Raises
    ------
    SiteFileError
        It is missing, damaged, not what `detector_sha256` says, or no detector.
    BadInput
        Ultralytics is not installed.
    """
    digest = configured_sha256(site)
    if not digest:
        return None
    path = site.path(site.imaging.detector)
    if path.is_dir():
        card, weights = read_detector(path)
        model = build_network(card.architecture, len(card.classes), site.state)
        try:
            model.load_state_dict(weights)
        except RuntimeError as exc:
            raise SiteFileError(
                f"{path}: expected weights of {card.architecture}, got those of another network; train it again"
            ) from exc
        model.names = dict(enumerate(card.classes))
        return Detector(model, card.image_size, site.imaging.confidence, digest, site.state)
    model = unpickled_network(path, site.state)
    size = int(getattr(model, "args", {}).get("imgsz", 640))
    return Detector(model, size, site.imaging.confidence, digest, site.state)


def read_weights(path: Path, sha256: str, state: Path) -> dict[str, Tensor]:
    """The weights that a training starts from: of a folder that `train-detector` wrote, or of an ultralytics .pt file.

    Raises
    ------
    SiteFileError
        As `open_detector`; `sha256` must be that of a .pt file, since opening one runs code.
    """
    if path.is_dir():
        return read_detector(path)[1]
    from shared.digests import sha256_file

    if not path.is_file() or sha256 != sha256_file(path):
        got = (
            "no such file"
            if not path.is_file()
            else f"one with SHA-256 {sha256_file(path)[:12]}..."
            if sha256
            else "none"
        )
        raise SiteFileError(
            f"{path}: expected weights and their SHA-256, since opening them runs code, got {got}; "
            "give both, if you trust the file"
        )
    return {name: value.float() for name, value in unpickled_network(path, state).state_dict().items()}
