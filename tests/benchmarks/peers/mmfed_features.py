"""mmfed: `prepare` of the slides, stored as HDF5. Started by slide_peers.py, with a JSON text as its peers have.

Beside theirs it holds: engine, precision, workers.
"""

import json
import shutil
import sys
import time
from pathlib import Path

from client.prepare.encoders import Encoder, build_encoder
from client.prepare.fingerprint import FileHashes
from client.prepare.patients import read_roster
from client.prepare.report import PrepareReport
from client.prepare.slides.folder import prepare_slides
from shared.site import Site, read_site
from shared.study import Slides

task = json.loads(sys.argv[1])


def make_site(folder: Path, slides: list[str]) -> Site:
    """A site with one patient, who has all the slides."""
    (folder / "data/slides").mkdir(parents=True)
    for slide in slides:
        shutil.copy(slide, folder / "data/slides")
    names = [Path(slide).stem for slide in slides]
    (folder / "data/slides.tsv").write_text("".join(["case_id\tslide_id\n", *(f"P\t{name}\n" for name in names)]))
    (folder / "data/clinical.tsv").write_text("case_id\nP\n")
    compute = "".join(f"{name} = {json.dumps(task[name])}\n" for name in ("engine", "precision", "workers"))
    (folder / "site.toml").write_text(f'schema = 1\n[site]\nid = "A"\n[compute]\n{compute}')
    return read_site(folder / "site.toml")


def encode(site: Site, encoder: Encoder) -> int:
    """Features of the site's slides; their number of tiles."""
    report = PrepareReport(site.state / "store/one")
    folder = report.store / "slides"
    bags = prepare_slides(site, settings, encoder, read_roster(site), folder, FileHashes(site), report, lambda *_: None)
    return sum(bags.patches.values())


settings = Slides(encoder="resnet50", mpp=task["mpp"], tile=task["tile"], max_patches=10**6)
warm = make_site(Path(task["out"]) / "warm", task["slides"][:1])
site = make_site(Path(task["out"]) / "site", task["slides"])
encoder = build_encoder("resnet50", dim=settings.dim, site=site, file=Path(task["weights"]))
encode(warm, encoder)  # what is compiled or imported on first use
start = time.perf_counter()
tiles = encode(site, encoder)
print(json.dumps({"tiles": tiles, "seconds": time.perf_counter() - start}))
