"""Memory of reading a slide of 100,000 x 80,000 px: its tissue mask, its thumbnail and all its tissue tiles.

    .venv/bin/python -m tests.benchmarks.huge_slide

The slide is written first (1 MB: nearly all its tiles are one stored tile). Bar: a peak under 2 GB. The encoder is not
loaded here; `prepare` on the same slide is measured by tests/benchmarks/prepare_throughput.py.
"""

import resource
import tempfile
import time
from pathlib import Path

from client.prepare.slides.quality import inspect
from client.prepare.slides.resolution import slide_mpp
from client.prepare.slides.slide import open_slide
from client.prepare.slides.thumbnail import draw_thumbnail
from client.prepare.slides.tiling import TileGrid, read_tile
from tests.slide_files import write_huge_slide


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_huge_slide(Path(folder) / "huge.svs")
        print(f"file of {path.stat().st_size / 1e6:.1f} MB; {peak():.0f} MB of memory before it is opened")
        print(f"{'step':34} {'seconds':>8} {'peak MB':>8}")
        start = time.perf_counter()
        slide = open_slide(path)
        start = report("open", start)
        mpp = slide_mpp(slide)
        findings = inspect(slide, mpp, True)
        start = report("tissue mask and quality", start)
        for requested in (0.5, 0.7, 1.0):
            grid = TileGrid.of(slide, mpp, tile=224, mpp=requested)
            corners = grid.tissue_tiles(slide, findings.usable)
            for corner in corners:
                read_tile(slide, grid, (int(corner[0]), int(corner[1])))
            start = report(f"{len(corners)} tiles at {requested} um/px", start)
        draw_thumbnail(slide, findings, corners, grid.side)
        report("thumbnail", start)
        slide.close()
    print(f"peak {peak():.0f} MB, bar 2000 MB: {'met' if peak() < 2000 else 'MISSED'}")


def report(step: str, start: float) -> float:
    now = time.perf_counter()
    print(f"{step:34} {now - start:8.2f} {peak():8.0f}")
    return now


def peak() -> float:
    """The most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
