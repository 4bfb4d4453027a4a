"""Plain OpenSlide and torch, as one writes it in an afternoon: thumbnail, threshold, tiles, batches.

Started by slide_peers.py in an environment of its own, with a JSON text: slides, weights, tile, mpp, batch, out.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import openslide
import torch
from torchvision.models import resnet50
from torchvision.transforms import Compose, Normalize, ToTensor

task = json.loads(sys.argv[1])
model = resnet50()
model.load_state_dict(torch.load(task["weights"], weights_only=True))
model.fc = torch.nn.Identity()
model.eval()
transform = Compose([ToTensor(), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])


def tissue_corners(slide: openslide.OpenSlide) -> list[tuple[int, int]]:
    """Level-0 corners of tiles that are at least half tissue, by saturation on a thumbnail."""
    side = round(task["tile"] * task["mpp"] / float(slide.properties["openslide.mpp-x"]))
    width, height = slide.dimensions
    small = slide.get_thumbnail((max(1, 8 * width // side), max(1, 8 * height // side))).convert("HSV")
    saturation = np.asarray(small)[..., 1] > 18
    corners = []
    for y in range(0, height - side + 1, side):
        for x in range(0, width - side + 1, side):
            part = saturation[
                y * len(saturation) // height : (y + side) * len(saturation) // height,
                x * saturation.shape[1] // width : (x + side) * saturation.shape[1] // width,
            ]
            if part.mean() >= 0.5:
                corners.append((x, y))
    return corners


def encode(path: str, target: Path) -> int:
    """Features of one slide; its number of tiles."""
    features = []
    with openslide.OpenSlide(path) as slide, torch.inference_mode():
        corners = tissue_corners(slide)
        side = round(task["tile"] * task["mpp"] / float(slide.properties["openslide.mpp-x"]))
        for first in range(0, len(corners), task["batch"]):
            pictures = [
                slide.read_region(corner, 0, (side, side)).convert("RGB").resize((task["tile"], task["tile"]))
                for corner in corners[first : first + task["batch"]]
            ]
            features.append(model(torch.stack([transform(picture) for picture in pictures])).numpy())
    np.save(target, np.concatenate(features))
    return sum(map(len, features))


folder = Path(task["out"])
encode(task["slides"][0], folder / "warm.npy")  # what is made ready on first use
start = time.perf_counter()
tiles = sum(encode(path, folder / f"{number}.npy") for number, path in enumerate(task["slides"]))
print(json.dumps({"tiles": tiles, "seconds": time.perf_counter() - start}))
