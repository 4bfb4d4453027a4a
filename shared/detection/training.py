"""Train a detector at one site by ultralytics' own trainer, from a data set in YOLO's layout (`train-detector`)."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from shared.detection.contained import contained
from shared.detection.networks import description

__all__ = ["TrainingPlan", "fit_detector"]


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
    with contained(plan.state):
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
            model: nn.Module = super().get_model(description(plan.architecture), weights, verbose=False)
            known = model.state_dict()
            fitting = {k: v for k, v in (start or {}).items() if k in known and v.shape == known[k].shape}
            model.load_state_dict(fitting, strict=False)
            return model

    options = {
        "model": f"{plan.architecture}.yaml",
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
