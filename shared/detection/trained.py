"""The detector that a detection study has trained, as a site file names it for its crops: imaging.detector."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.detection.detector_file import DetectorCard, Quality, write_detector
from shared.metrics.detection import DETECTION
from shared.study import Study
from shared.weights import Arrays, load_arrays, new_model

__all__ = ["DETECTOR", "told_quality", "write_trained"]

DETECTOR = "detector"
"""Its folder in a run folder."""


def write_trained(
    folder: Path, study: Study, arrays: Arrays, quality: Quality | None, counts: Mapping[str, int] | None = None
) -> None:
    """Write `folder` from the weights of the study's model; `counts` are further facts of the training for the card."""
    options, training = study.model.options, study.training
    model: Any = new_model(study)  # a Yolo, which is not imported for a name
    load_arrays(model, arrays)
    card = DetectorCard(
        architecture=str(options["network"]),
        image_size=int(options["image_size"]),
        classes=("lesion",),
        weights_sha256="",
        quality=quality,
        training={
            "study": f"{study.name}, {study.digest[:12]}",
            "rounds": training.rounds,
            "local_epochs": training.local_epochs,
            **(counts or {}),
        },
        software={name: importlib.metadata.version(name) for name in ("mmfed", "torch", "ultralytics")},
    )
    write_detector(folder, card, model.network.state_dict())


def told_quality(metrics: Mapping[str, Any]) -> Quality | None:
    """What metrics.json of a deployed run tells of all hospitals' own test patients; None where it tells nothing."""
    try:
        own = metrics["arms"]["federated"]["own"]
        return Quality(**{name: own[name]["value"] for name in DETECTION}, patients=own[DETECTION[0]]["n"])
    except (KeyError, TypeError, ValueError):
        return None
