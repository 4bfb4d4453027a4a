"""LazySlide: tissue, tiles and features of slides, stored in its own format.

Started by slide_peers.py in an environment of its own, with a JSON text: slides, weights, tile, mpp, batch, out.
"""

import json
import sys
import time
from pathlib import Path

import lazyslide as zs
import torch
from torchvision.models import resnet50
from torchvision.transforms import Compose, Normalize, ToTensor
from wsidata import open_wsi

task = json.loads(sys.argv[1])
model = resnet50()
model.load_state_dict(torch.load(task["weights"], weights_only=True))
model.fc = torch.nn.Identity()
model.eval()
transform = Compose([ToTensor(), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])


def encode(path: str, store: Path) -> int:
    """Features of one slide; its number of tiles."""
    wsi = open_wsi(path, store=str(store))
    zs.pp.find_tissues(wsi)
    zs.pp.tile_tissues(wsi, task["tile"], mpp=task["mpp"])
    zs.tl.feature_extraction(
        wsi, model, model_name="resnet50", transform=transform, batch_size=task["batch"], device="cpu", pbar=False
    )
    wsi.write()
    return len(wsi.shapes["tiles"])


folder = Path(task["out"])
encode(task["slides"][0], folder / "warm.zarr")  # what is compiled or imported on first use
start = time.perf_counter()
tiles = sum(encode(path, folder / f"{number}.zarr") for number, path in enumerate(task["slides"]))
print(json.dumps({"tiles": tiles, "seconds": time.perf_counter() - start}))
