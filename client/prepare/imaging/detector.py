"""Find the lesion on a clinical image: the one module that imports ultralytics (AGPL-3.0, extra `imaging`).

Ultralytics is kept inside the site's state folder and off the network: its settings lie in <state>/ultralytics, it
works offline, downloads and installs nothing, reports nothing, and draws nothing.
"""

import logging
import os
import pickle
import random
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from client.prepare.imaging.crop import shrunk
from client.prepare.imaging.detector_file import configured_sha256, read_detector
from shared.cohort.imaging_sheet import Box
from shared.errors import BadInput, SiteFileError
from shared.site import Site

__all__ = ["Detector", "Lesion", "TrainingPlan", "fit_detector", "open_detector", "read_weights"]

SETTINGS = {
    "sync": False,
    **dict.fromkeys(("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb"), False),
    **dict.fromkeys(("vscode_msg", "openvino_msg"), False),
    "api_key": "",
}
"""What ultralytics may do beside its work: nothing."""

NOT_A_MODEL = (
    *(AttributeError, EOFError, ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError),
    pickle.UnpicklingError,
)
"""What ultralytics and torch raise for a .pt file that holds no network of theirs."""


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
        self._state = state
        with _contained(state):
            predictor = import_module("ultralytics.models.yolo.detect").DetectionPredictor
            options = {"imgsz": image_size, "conf": confidence, "device": "cpu", "save": False, "verbose": False}
            self._predictor = predictor(overrides={**options, "project": str(state / "ultralytics")})
            self._predictor.setup_model(model=model, verbose=False)
        self.find(np.zeros((image_size, image_size, 3), dtype=np.uint8))  # its first call changes the threads

    def find(self, pixels: NDArray[np.uint8]) -> Lesion | None:
        """The most confident box on an RGB picture (H, W, 3), of whatever class; None if none is confident enough."""
        small, factor = shrunk(pixels, self._image_size)
        with _contained(self._state):
            torch.set_num_threads(1)  # the last bits must not depend on how many cores there are
            (result,) = self._predictor(np.ascontiguousarray(small[..., ::-1]))  # ultralytics takes BGR
            boxes, confidences = result.boxes.xyxy.double().numpy() / factor, result.boxes.conf.double().numpy()
        height, width = pixels.shape[:2]
        boxes = np.clip(boxes, 0, [width, height, width, height])
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
        with _contained(site.state):
            model = _built(card.architecture, len(card.classes))
            try:
                model.load_state_dict(weights)
            except RuntimeError as exc:
                raise SiteFileError(
                    f"{path}: expected weights of {card.architecture}, got those of another network; train it again"
                ) from exc
            model.names = dict(enumerate(card.classes))
        return Detector(model, card.image_size, site.imaging.confidence, digest, site.state)
    model = _unpickled(path, site.state)
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
    return {name: value.float() for name, value in _unpickled(path, state).state_dict().items()}


@dataclass(frozen=True)
class TrainingPlan:
    """One training: a data set in YOLO's layout, and how to learn from it."""

    data: Path  # data.yaml
    folder: Path  # where ultralytics may write
    state: Path  # the site's state folder
    architecture: str
    image_size: int
    epochs: int
    batch: int
    device: str  # cpu or cuda:N
    seed: int


def fit_detector(
    plan: TrainingPlan, start: dict[str, Tensor] | None, done: Callable[[int], None]
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Train; the weights after the last epoch and map50, map50_95, recall_25 on the validation images.

    `start` gives the weights to begin with, as far as names and shapes fit. `done` is told every finished epoch.
    Nothing is chosen by the validation images, so their scores are not flattered. Same plan, same machine, same result.
    """
    with _contained(plan.state):
        trainer = _trainer(plan, start)
        trainer.add_callback("on_train_epoch_end", lambda at: done(at.epoch + 1))
        trainer.train()
        box = trainer.validator.metrics.box
        quality = {"map50": box.map50, "map50_95": box.map}
        quality["recall_25"] = np.interp(0.25, box.px, box.r_curve[0]) if len(box.r_curve) else 0.0
        model, _ = import_module("ultralytics.nn.tasks").load_checkpoint(trainer.last)
        weights = {name: value.cpu() for name, value in model.float().state_dict().items()}
    return weights, {name: round(float(value), 4) for name, value in quality.items()}


def _trainer(plan: TrainingPlan, start: dict[str, Tensor] | None) -> Any:
    base = import_module("ultralytics.models.yolo.detect").DetectionTrainer

    class SiteTrainer(base):  # type: ignore[misc, valid-type]
        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> nn.Module:
            model: nn.Module = super().get_model(cfg, weights, verbose=False)
            known = model.state_dict()
            fitting = {k: v for k, v in (start or {}).items() if k in known and v.shape == known[k].shape}
            model.load_state_dict(fitting, strict=False)
            return model

    options = {
        "model": str(_description(plan.architecture)),
        "data": str(plan.data),
        "epochs": plan.epochs,
        "imgsz": plan.image_size,
        "batch": plan.batch,
        "device": plan.device.removeprefix("cuda:"),
        "seed": plan.seed,
        "project": str(plan.folder),
        "name": "run",
        "workers": 0,
        "patience": 0,
        "deterministic": True,
        **dict.fromkeys(("pretrained", "amp", "plots", "val", "save", "verbose"), False),
    }
    return SiteTrainer(overrides=options)


def _unpickled(path: Path, state: Path) -> Any:
    """The network of a .pt file, whose SHA-256 was checked."""
    with _contained(state):
        tasks = import_module("ultralytics.nn.tasks")
        try:
            model, _ = tasks.load_checkpoint(path)
        except NOT_A_MODEL as exc:
            raise SiteFileError(
                f"{path}: expected a detector saved by ultralytics, got another file ({type(exc).__name__}); "
                "give one that ultralytics itself opens"
            ) from exc
        if not isinstance(model, tasks.DetectionModel):
            raise SiteFileError(f"{path}: expected a detector, got {type(model).__name__}; give one for task detect")
        return model


def _built(architecture: str, classes: int) -> Any:
    """The untrained network; inside `_contained`."""
    tasks = import_module("ultralytics.nn.tasks")
    description = tasks.yaml_model_load(_description(architecture))
    return tasks.DetectionModel(description, nc=classes, verbose=False).eval()


def _description(architecture: str) -> Path:
    """The architecture's file in the ultralytics package; the name returned carries the scale."""
    package = Path(str(import_module("ultralytics").__file__)).parent
    family = re.sub(r"(\d)[nsmlx]$", r"\1", architecture)
    (found,) = (package / "cfg" / "models").glob(f"*/{family}.yaml")
    return found.with_name(f"{architecture}.yaml")


@contextmanager
def _contained(state: Path) -> Iterator[None]:
    """Ultralytics inside, offline and silent; outside, all it changes in a process as it was.

    That is: threads, seeds, warnings, how numbers are printed, the environment, `Image.open` and `torch.save`.
    """
    folder = state / "ultralytics"
    environment, open_image, save = dict(os.environ), Image.open, torch.save
    threads, numbers, words = torch.get_num_threads(), np.random.get_state(), random.getstate()  # noqa: NPY002
    os.environ.pop("ULTRALYTICS_API_KEY", None)  # with one, trainings would be reported
    os.environ |= {"YOLO_CONFIG_DIR": str(folder), "YOLO_OFFLINE": "1", "YOLO_AUTOINSTALL": "0", "YOLO_VERBOSE": "0"}
    os.environ |= {"MPLCONFIGDIR": str(folder / "matplotlib"), "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor")}
    try:
        with torch.random.fork_rng(), np.printoptions(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(ultralytics|torch|matplotlib)\.")
            _import_quietly(folder)
            yield
    finally:
        torch.set_num_threads(threads)
        np.random.set_state(numbers)  # noqa: NPY002
        random.setstate(words)
        Image.open, torch.save = open_image, save
        os.environ.clear()
        os.environ.update(environment)


def _import_quietly(folder: Path) -> None:
    """Import ultralytics, which reads its environment once a process; BadInput if it is not installed."""
    if find_spec("ultralytics") is None:
        raise BadInput("expected the package ultralytics to find lesions, got none; install mmfed[imaging]")
    folder.mkdir(parents=True, exist_ok=True)
    utils = import_module("ultralytics.utils")
    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    if any(utils.SETTINGS[name] != value for name, value in SETTINGS.items()):
        utils.SETTINGS.update(SETTINGS)
    font = Path(utils.USER_CONFIG_DIR) / "Arial.ttf"
    if not font.exists():  # or it would be looked for on the network
        font.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(import_module("matplotlib").get_data_path()) / "fonts/ttf/DejaVuSans.ttf", font)
