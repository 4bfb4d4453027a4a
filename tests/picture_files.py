"""Pictures with a bright lesion on grey noise, and the tables that list them: what detection tests train on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shared.study import Study, parse_study

SHAPE = (72, 48)  # rows, columns


def detection_study(image_size: int = 64, **training: Any) -> Study:
    return parse_study(
        {
            "schema": 1,
            "name": "lesions",
            "task": {"kind": "detection"},
            "model": {"architecture": "yolo", "network": "yolov5n", "image_size": image_size},
            "modalities": {"imaging": {"max_images": 2}},
            "training": {"rounds": 2, "batch_size": 4, "learning_rate": 5e-3, **training},
        }
    )


def write_pictures(data: Path, patients: Mapping[str, int], boxed: bool = True) -> None:
    """imaging.csv and a PNG a picture: case_id -> 1 with a lesion, 0 without; `boxed`: whether lesions are drawn."""
    (data / "imaging").mkdir(parents=True, exist_ok=True)
    rows = ["case_id,image_id,modality,x0,y0,x1,y1"]
    for number, (case, lesion) in enumerate(patients.items()):
        rng = np.random.default_rng(number)
        pixels = rng.integers(60, 90, (*SHAPE, 3)).astype(np.uint8)
        x, y = int(rng.integers(4, 24)), int(rng.integers(4, 44))
        if lesion:
            pixels[y : y + 20, x : x + 16] = 230
        Image.fromarray(pixels).save(data / f"imaging/{case}.png")
        rows.append(f"{case},{case},XR," + (f"{x},{y},{x + 16},{y + 20}" if lesion and boxed else ",,,"))
    (data / "imaging.csv").write_text("\n".join(rows) + "\n")
