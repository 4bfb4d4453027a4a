"""Boxes on one picture by ultralytics' own predictor, as `prepare` crops with it."""

from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shared.detection.contained import contained

__all__ = ["Predictor"]


class Predictor:
    """A network ready to look at pictures on the CPU."""

    def __init__(self, model: nn.Module, image_size: int, confidence: float, state: Path) -> None:
        self._state = state
        with contained(state):
            predictor = import_module("ultralytics.models.yolo.detect").DetectionPredictor
            options = {"imgsz": image_size, "conf": confidence, "device": "cpu", "save": False, "verbose": False}
            self._predictor = predictor(overrides={**options, "project": str(state / "ultralytics")})
            self._predictor.setup_model(model=model, verbose=False)
        self.boxes(np.zeros((image_size, image_size, 3), dtype=np.uint8))  # its first call changes the threads

    def boxes(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Boxes (k, 4) in px of an RGB picture (H, W, 3), of whatever class, and their confidences (k,)."""
        with contained(self._state):
            torch.set_num_threads(1)  # the last bits must not depend on how many cores there are
            (result,) = self._predictor(np.ascontiguousarray(pixels[..., ::-1]))  # ultralytics takes BGR
            return result.boxes.xyxy.double().numpy(), result.boxes.conf.double().numpy()
