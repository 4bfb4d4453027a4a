"""How far bf16 moves features and class probabilities, per encoder, on tiles of real slides.

    OMP_NUM_THREADS=1 python tests/benchmarks/encoder_fidelity.py [--encoders resnet50 ...]

Bars: cosine of at least .9995 on every tile, median relative L2 of at most .01, probabilities moved by less than .005.
The classifier is a logistic regression on fp32 features, centred and of one scale (is a tile darker than the median of
its slide?), scored on the other half of the tiles, once with fp32 and once with bf16 features: tile by tile, and by
bags of 8 tiles, whose feature is the mean. Torch emulates bf16 where the processor lacks it: slow, and right. Encoders
without weights on this machine are drawn at random, as their name then says; their features hardly differ between
tiles, so that the classifier magnifies rounding far more than it does with trained ones.
"""

import argparse
from pathlib import Path

import numpy as np
import openslide
from sklearn.linear_model import LogisticRegression

from client.prepare.encoders import Encoder, build_encoder
from client.prepare.encoders.fidelity import compare_features, is_faithful
from shared.errors import EncoderError
from shared.site import Site

BAG = 8


def real_tiles(folder: Path, each: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Tiles (N, side, side, 3) with structure in them, and whether each is darker than its slide's median tile."""
    tiles, dark = [], []
    for path in sorted(folder.glob("*.svs")):
        with openslide.OpenSlide(path) as slide:
            width, height = slide.dimensions
            corners = [(x, y) for y in range(0, height - side + 1, side) for x in range(0, width - side + 1, side)]
            pictures = [np.asarray(slide.read_region(at, 0, (side, side)).convert("RGB")) for at in corners]
        chosen = [picture for picture in pictures if picture.std() > 15]
        chosen = [chosen[i] for i in np.random.default_rng(0).permutation(len(chosen))[:each]]
        means = np.array([picture.mean() for picture in chosen])
        tiles += chosen
        dark += list(means < np.median(means))
    return np.stack(tiles), np.array(dark)


def encoder_in(precision: str, name: str) -> Encoder:
    compute = {"device": "cpu", "engine": "torch", "precision": precision}
    if precision == "openvino":
        compute = {"device": "cpu", "engine": "openvino", "precision": "fp32"}
    site = Site.model_validate({"schema": 1, "site": {"id": "A"}, "compute": compute})
    try:
        return build_encoder(name, site=site)
    except EncoderError:
        return build_encoder(name, weights="random", site=site)


def moved(fp32: np.ndarray, other: np.ndarray, dark: np.ndarray) -> tuple[float, float]:
    """The most that the probability of a tile, and of a bag, moves."""
    train = np.arange(len(dark)) % 2 == 0
    centre, scale = fp32[train].mean(0), fp32[train].std()
    model = LogisticRegression(max_iter=2000).fit((fp32[train] - centre) / scale, dark[train])

    def probabilities(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tiles = (features[~train] - centre) / scale
        bags = tiles[: len(tiles) // BAG * BAG].reshape(-1, BAG, tiles.shape[1]).mean(1)
        return model.predict_proba(tiles)[:, 1], model.predict_proba(bags)[:, 1]

    return tuple(float(np.abs(a - b).max()) for a, b in zip(probabilities(fp32), probabilities(other), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slides", type=Path, default=Path("../shared/data/slides"))
    parser.add_argument("--tiles", type=int, default=32, help="of each slide")
    parser.add_argument("--side", type=int, default=224)
    names = ["mobilenet_v2", "resnet18", "resnet50", "resnet50_layer3", "vit_b_16"]
    parser.add_argument("--encoders", nargs="+", default=names)
    options = parser.parse_args()
    tiles, dark = real_tiles(options.slides, options.tiles, options.side)
    print(
        f"{len(tiles)} tiles\n{'':24}{'precision':>10}{'cosine':>10}{'rel. L2':>10}{'tile dp':>10}{'bag dp':>10}  bars"
    )
    for name in options.encoders:
        exact = encoder_in("fp32", name)
        fp32 = exact.encode(tiles)
        for precision in ("bf16", "openvino"):
            try:
                other = encoder_in(precision, name).encode(tiles)
            except EncoderError as exc:
                print(f"{exact.name:24}{precision:>10}  left out: {exc}")
                continue
            found = compare_features(other, fp32)
            tile, bag = moved(fp32, other, dark)
            kept = is_faithful(found) and bag < 0.005
            numbers = f"{found['bf16_min_cosine']:10.6f}{found['bf16_median_relative_l2']:10.5f}{tile:10.5f}{bag:10.5f}"
            print(f"{exact.name:24}{precision:>10}{numbers}  {'kept' if kept else 'missed'}", flush=True)


if __name__ == "__main__":
    main()
