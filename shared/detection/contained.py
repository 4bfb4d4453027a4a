"""Ultralytics inside one folder, offline and silent: it downloads and installs nothing, and reports nothing."""

import logging
import os
import random
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from shared.errors import BadInput

__all__ = ["contained"]

SETTINGS = {
    "sync": False,
    **dict.fromkeys(("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb"), False),
    **dict.fromkeys(("vscode_msg", "openvino_msg"), False),
    "api_key": "",
}
"""What ultralytics may do beside its work: nothing."""


@contextmanager
def contained(state: Path | None = None) -> Iterator[None]:
    """Ultralytics inside, offline and silent; outside, all it changes in a process as it was.

    That is: threads, seeds, warnings, how numbers are printed, the environment, `Image.open` and `torch.save`.
    Its settings lie in <state>/ultralytics; without a state folder in a temporary one, which goes with the process.
    """
    folder = (state or _passing()) / "ultralytics"
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


@lru_cache(maxsize=1)
def _temporary() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="mmfed-ultralytics-", ignore_cleanup_errors=True)


def _passing() -> Path:
    """A folder that is deleted when the process ends."""
    return Path(_temporary().name)


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
