"""The bar of the detector: trained across four sites of the synthetic bone cohort in at most 12 minutes on two cores.

    python tests/benchmarks/detector_federation.py [--sites BA BB BC BE] [--threads 2] [--set training.rounds=20]

The packaged study s2_detector (yolov5n from random weights, 256 px) through Flower's messages and the round loop; at
most 60 pictures a site. Prints mAP of all own test patients pooled, of each site and of unseen hospitals, and the
processor time, which other work on the machine does not change.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from shared.logs import configure_logs
from shared.study import read_study
from simulations.detection_arms import make_picture_fold, train_detectors
from simulations.detection_scores import score_detectors
from simulations.ready import make_ready

STUDY = Path(__file__).parents[2] / "simulations" / "studies" / "s2_detector.toml"
MOST = 60  # pictures a site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", nargs="+", default=["BA", "BB", "BC", "BE"])
    parser.add_argument("--unseen", nargs="+", default=["BU", "BV"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    configure_logs(level=20)
    study = read_study(STUDY)
    ready = make_ready(study, cohort="bone", settings=options.settings, cache=options.cache, progress=lambda *_: None)
    hospitals = [h for h in ready.hospitals if h.id in (*options.sites, *options.unseen)]
    fold = make_picture_fold(hospitals, ready.study, 20)
    pictures = {site: len(fold.sites[site].train) + len(fold.sites[site].test) for site in fold.training}
    print("pictures a site", pictures)
    assert max(pictures.values()) <= MOST
    wall, processor = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        trained = train_detectors("federated", fold, hospitals, Path(folder))
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print("loss", [round(record["loss"], 2) for record in trained.rounds])
    print("own mAP@.5 of the model received", [record["received_model"].get("map50") for record in trained.rounds])
    for where, measured in score_detectors(fold, trained).items():
        print(where, measured.n, {name: round(float(value[0]), 3) for name, value in measured.point.items()})
    print(f"{wall:.0f} s, processor time {processor:.0f} s with {options.threads} threads")


if __name__ == "__main__":
    main()
