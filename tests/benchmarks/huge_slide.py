"""Memory and time of `prepare` on a slide of 100,000 x 80,000 px.

    python tests/benchmarks/huge_slide.py [--encoder resnet50] [--tiles 600] [--engine auto] [--mpp 0.5]

The slide is written first (1 MB: nearly all its tiles are one stored tile); everything else is what a hospital runs,
from the file to the finished store, with untrained weights and without quality control, which would take the drawn
tissue for blurred. Bar: a peak under 2 GB.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from client.prepare.preparation import prepare
from client.prepare.settings import PrepareSettings
from shared.cohort.store import FeatureStore
from shared.site import read_site
from shared.study import Slides
from tests.slide_files import write_huge_slide

BAR_MB = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="resnet50")
    parser.add_argument("--tiles", type=int, default=600)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--mpp", type=float, default=0.5)
    options = parser.parse_args()
    slides = Slides(
        encoder=options.encoder, weights="random", mpp=options.mpp, max_patches=options.tiles, quality=False
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data/slides").mkdir(parents=True)
        path = write_huge_slide(folder / "data/slides/huge.svs")
        (folder / "data/clinical.tsv").write_text("case_id\nP1\n")
        (folder / "data/slides.tsv").write_text("case_id\tslide_id\nP1\thuge\n")
        (folder / "site.toml").write_text(f'schema = 1\n[site]\nid = "A"\n[compute]\nengine = "{options.engine}"\n')
        print(f"slide of 100,000 x 80,000 px in {path.stat().st_size / 1e6:.1f} MB; {peak():.0f} MB held before")
        start = time.perf_counter()
        report = prepare(read_site(folder / "site.toml"), PrepareSettings(modalities=("slides",), slides=slides))
        patches = sum(len(bag) for bag in FeatureStore.open(report.store).all_slides().values())
        print(f"{patches} patches by {options.encoder} in {time.perf_counter() - start:.1f} s")
    print(f"peak {peak():.0f} MB, bar {BAR_MB} MB: {'met' if peak() < BAR_MB else 'MISSED'}")


def peak() -> float:
    """The most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
