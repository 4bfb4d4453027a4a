"""Reading alone: tiles a second directly against OpenSlide, in one run.

    .venv/bin/python -m tests.benchmarks.slide_reading [ROUNDS]

One written Aperio slide of 4096 px with 256 px JPEG tiles and, where the shared data are there, a real one of 240 px
tiles. Each round opens both readers anew, so that nothing is cached, and reads the same tiles with the one and then
with the other; the ratio is the median over rounds. Bar: at least 4 on tile-aligned requests with one thread each, and
equal pixels. Every tile ends as an RGB array in both readers.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
import openslide
from numpy.typing import NDArray

from client.prepare.slides.slide import open_slide
from tests.slide_files import tissue_pixels, write_pyramid

REAL = Path("../shared/data/slides/CMU-1-Small-Region.svs")
Read = Callable[[tuple[int, int], int], NDArray[np.uint8]]


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        written = write_pyramid(Path(folder) / "written.svs", tissue_pixels(4096, 4096), jpeg_quality=70)
        print(f"{'slide':24} {'request':>22} {'threads':>7} {'OpenSlide/s':>11} {'direct/s':>9} {'ratio':>6}")
        for path, tile in [(written, 256), *([(REAL, 240)] if REAL.is_file() else [])]:
            for side, threads in ((tile, 1), (224, 1), (448, 1), (tile, 2), (tile, 4)):
                compare(path, side, tile, threads, rounds)


def compare(path: Path, side: int, tile: int, threads: int, rounds: int) -> None:
    with openslide.OpenSlide(path) as slide:
        width, height = slide.dimensions
    corners = list(product(range(0, height - side + 1, side), range(0, width - side + 1, side)))
    places = [(x, y) for y, x in corners]
    rates: list[tuple[float, float]] = []
    for _ in range(rounds):
        with openslide.OpenSlide(path) as slide, open_slide(path) as direct:

            def by_openslide(at: tuple[int, int], side: int, slide: openslide.OpenSlide = slide) -> NDArray[np.uint8]:
                return np.asarray(slide.read_region(at, 0, (side, side)).convert("RGB"))

            reference, reference_rate = timed(by_openslide, places, side, threads)
            pixels, rate = timed(lambda at, side, d=direct: d.read(at, 0, (side, side)), places, side, threads)  # type: ignore[misc]
            if not all(np.array_equal(one, other) for one, other in zip(reference, pixels, strict=True)):
                sys.exit(f"{path.name}: pixels differ from OpenSlide's")
            rates.append((reference_rate, rate))
    request = f"{side} px, {'aligned' if side == tile else 'in row order'}"
    ratio = median(rate / reference for reference, rate in rates)
    slow, fast = (median(column) for column in zip(*rates, strict=True))
    print(f"{path.stem:24} {request:>22} {threads:7} {slow:11.0f} {fast:9.0f} {ratio:6.2f}")


def timed(read: Read, places: list[tuple[int, int]], side: int, threads: int) -> tuple[list[NDArray[np.uint8]], float]:
    """The tiles at `places`, and how many of them came a second."""
    start = time.perf_counter()
    if threads == 1:
        tiles = [read(at, side) for at in places]
    else:
        with ThreadPoolExecutor(threads) as pool:
            tiles = list(pool.map(lambda at: read(at, side), places))
    return tiles, len(places) / (time.perf_counter() - start)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
