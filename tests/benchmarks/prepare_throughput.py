"""How much of the bare encoder's speed is left when slides are read, filtered and stored as well. Bar: .85.

    python tests/benchmarks/prepare_throughput.py [--encoder resnet50] [--engine auto] [--workers 2] [--copies 3]

Each round encodes the same tiles twice: `bare` calls the encoder on tiles that lie in the memory already, `prepare`
starts from the slide files and ends with finished slide files in a store. Rounds are paired, and their order swapped.
Without --slides, the slide is four times the real region of ../shared/data/slides side by side: some 200 tiles, as many
as `max_patches` takes by default.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from client.prepare.encoders import Encoder, build_encoder
from client.prepare.fingerprint import FileHashes
from client.prepare.patients import read_roster
from client.prepare.report import PrepareReport
from client.prepare.slides.folder import Bags, prepare_slides
from client.prepare.slides.resolution import slide_mpp
from client.prepare.slides.slide import open_slide
from client.prepare.slides.tiling import TileGrid, read_tile
from shared.cohort.bag_files import read_bag_attributes, read_bag_coords
from shared.site import Site, read_site
from shared.study import Slides
from simulations.synthetic.aperio import write_aperio

REGION = Path("../shared/data/slides/CMU-1-Small-Region.svs")
SITE = 'schema = 1\n[site]\nid = "A"\n[compute]\nworkers = {workers}\nengine = "{engine}"\nprecision = "{precision}"\n'


def write_mosaic(path: Path) -> Path:
    """Twice two copies of the region as one Aperio slide."""
    with open_slide(REGION) as slide:
        pixels = slide.read((0, 0), 0, slide.dimensions)
        mpp = slide_mpp(slide)
    write_aperio(path, np.tile(pixels, (2, 2, 1)), mpp=mpp, power=20, jpeg_quality=90)
    return path


def make_site(folder: Path, slides: list[Path], copies: int, options: argparse.Namespace) -> Site:
    """A patient a slide; each slide `copies` times."""
    (folder / "data/slides").mkdir(parents=True)
    names = []
    for number in range(copies):
        for slide in slides:
            names.append(f"s{number:03d}_{slide.stem}")
            shutil.copy(slide, folder / f"data/slides/{names[-1]}{slide.suffix}")
    rows = [f"P{number}\t{name}\t{options.slide_mpp or ''}" for number, name in enumerate(names)]
    (folder / "data/slides.tsv").write_text("\n".join(["case_id\tslide_id\tmpp", *rows]) + "\n")
    (folder / "data/clinical.tsv").write_text("\n".join(["case_id", *(f"P{n}" for n in range(len(names)))]) + "\n")
    (folder / "site.toml").write_text(SITE.format(**vars(options)))
    return read_site(folder / "site.toml")


def prepare_all(site: Site, settings: Slides, encoder: Encoder, store: Path) -> tuple[Bags, float]:
    """Slides to slide files; what was made, and the seconds."""
    roster, hashes, report = read_roster(site), FileHashes(site), PrepareReport(store)
    start = time.perf_counter()
    bags = prepare_slides(site, settings, encoder, roster, store / "slides", hashes, report, lambda *_: None)
    return bags, time.perf_counter() - start


def load_tiles(site: Site, settings: Slides, store: Path) -> np.ndarray:
    """The tiles of every slide file of a store, in order."""
    tiles = []
    for bag in sorted((store / "slides").glob("*.h5")):
        (source,) = site.data.glob(f"slides/{bag.stem}.*")
        with open_slide(source) as slide:
            mpp = float(read_bag_attributes(bag)["slide_mpp"])
            grid = TileGrid.of(slide, mpp, tile=settings.tile, mpp=settings.mpp)
            tiles += [read_tile(slide, grid, (int(x), int(y))) for x, y in read_bag_coords(bag)]
    return np.stack(tiles)


def encode_bare(encoder: Encoder, tiles: np.ndarray) -> float:
    """Seconds that the encoder alone takes, called as often at once as it may be."""
    batches = [tiles[start : start + encoder.batch] for start in range(0, len(tiles), encoder.batch)]
    with ThreadPoolExecutor(encoder.workers) as pool:
        start = time.perf_counter()
        for _ in pool.map(encoder.encode, batches):
            pass
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=Path, nargs="+")
    parser.add_argument("--slide-mpp", type=float, default=0.0, help="um per px, for slides that do not say")
    parser.add_argument("--copies", type=int, default=2, help="how often each slide stands in the site")
    parser.add_argument("--encoder", default="resnet50")
    parser.add_argument("--engine", default="auto", choices=["auto", "torch", "openvino"])
    parser.add_argument("--precision", default="fp32", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--tile", type=int, default=224)
    parser.add_argument("--max-patches", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    settings = Slides(encoder=options.encoder, weights="random", tile=options.tile, max_patches=options.max_patches)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        slides = options.slides or [write_mosaic(Path(folder) / "mosaic.svs")]
        site = make_site(Path(folder) / "A", slides, options.copies, options)
        encoder = build_encoder(settings.encoder, dim=settings.dim, weights="random", site=site)
        first = site.state / "store/warm"
        bags, _ = prepare_all(site, settings, encoder, first)  # compiles the network, and finds the tiles
        tiles = load_tiles(site, settings, first)
        print(f"{len(bags.patches)} slides, {len(tiles)} tiles of {options.tile} px, {options.encoder}", end=", ")
        print(f"{encoder.precision} by {encoder.engine}, batch {encoder.batch}, {encoder.workers} at once\n")
        shutil.rmtree(first)
        print("| round | bare, tiles/s | prepare, tiles/s | prepare, slides/s | ratio |\n|---|---|---|---|---|")
        ratios = []
        for number in range(options.rounds):
            store = site.state / f"store/{number}"
            bare = encode_bare(encoder, tiles) if number % 2 else 0.0
            _, whole = prepare_all(site, settings, encoder, store)
            bare = bare or encode_bare(encoder, tiles)
            shutil.rmtree(store)
            ratios.append(bare / whole)
            rates = f"{len(tiles) / bare:.1f} | {len(tiles) / whole:.1f} | {len(bags.patches) / whole:.2f}"
            print(f"| {number + 1} | {rates} | {ratios[-1]:.2f} |", flush=True)
    print(f"\nmedian ratio {statistics.median(ratios):.2f} (bar: .85)")


if __name__ == "__main__":
    main()
