"""TIAToolbox: its DeepFeatureExtractor with its own tissue mask, stored as zarr.

Started by slide_peers.py in an environment of its own, with a JSON text: slides, weights, tile, mpp, batch, out.
"""

import json
import sys
import time
from pathlib import Path

import torch
import zarr
from tiatoolbox.models.architecture.vanilla import CNNBackbone
from tiatoolbox.models.engine.deep_feature_extractor import DeepFeatureExtractor
from tiatoolbox.models.engine.io_config import IOPatchPredictorConfig
from torchvision.models import resnet50
from torchvision.transforms import Compose, Normalize, ToTensor


def main() -> None:
    task = json.loads(sys.argv[1])
    whole = resnet50()
    whole.load_state_dict(torch.load(task["weights"], weights_only=True))
    model = CNNBackbone("resnet50")
    model.feat_extract = torch.nn.Sequential(*list(whole.children())[:-2])
    model.eval()
    to_tensor = Compose([ToTensor(), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    model.preproc_func = lambda picture: to_tensor(picture).permute(1, 2, 0)  # TIAToolbox moves the channels itself
    extractor = DeepFeatureExtractor(model=model, batch_size=task["batch"], device="cpu", verbose=False)
    config = IOPatchPredictorConfig(
        input_resolutions=[{"units": "mpp", "resolution": task["mpp"]}],
        patch_input_shape=[task["tile"], task["tile"]],
        stride_shape=[task["tile"], task["tile"]],
    )

    def encode(slides: list[str], folder: str) -> int:
        """Features of slides; their number of tiles."""
        made = extractor.run(
            images=[Path(path) for path in slides],
            patch_mode=False,
            auto_get_mask=True,
            ioconfig=config,
            output_type="zarr",
            save_dir=Path(task["out"]) / folder,
        )
        return sum(zarr.open(path, mode="r")["coordinates"].shape[0] for path in made.values())

    encode(task["slides"][:1], "warm")  # what is compiled or imported on first use
    start = time.perf_counter()
    tiles = encode(task["slides"], "features")
    print(json.dumps({"tiles": tiles, "seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
