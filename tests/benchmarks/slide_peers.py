"""Slide features end to end, beside LazySlide, TIAToolbox, and plain OpenSlide with torch.

    python tests/benchmarks/slide_peers.py [--rounds 3] [--copies 3] [--environments FOLDER] [--peers openslide ...]

The same slides, the same ResNet-50 weights (untrained, which costs the same), tiles of 224 px at .5 um per px, all
cores; each peer with its own tissue detection, in its own environment, made by this script with uv from the package
index (some 6 GB, minutes; kept with --environments). Time runs from closed slides to stored features; each process
first encodes a slide that does not count, so that starting Python, importing, compiling and loading weights are left
out. Rounds are paired: within one, all run one after the other on the same slides, and a ratio is that of tiles per
second.

Bars: at least 2x every peer in fp32 with OpenVINO, 1.5x with torch alone, and 4x in bf16 with OpenVINO on a CPU with
avx512_bf16 or AMX. On other CPUs the last is not tried, and the ratio that fp32 reaches is reported.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torchvision.models import resnet50

from client.prepare.encoders.plan import cpu_has_bf16

REAL = Path("../shared/data/slides/CMU-1-Small-Region.svs")
ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "peers"
PACKAGES = {
    "openslide": ["openslide-python", "openslide-bin", "torch", "torchvision"],
    "lazyslide": ["lazyslide", "wsidata", "openslide-python", "openslide-bin", "torch", "torchvision"],
    "tiatoolbox": ["tiatoolbox", "openslide-python", "openslide-bin", "torch", "torchvision"],
}


@dataclass(frozen=True)
class Runner:
    """One way to make features: a program and the Python that runs it."""

    name: str
    python: Path
    program: Path
    options: dict[str, object]
    bar: float = 0.0  # for mmfed: how many times as fast as the fastest peer

    def run(self, slides: list[Path], weights: Path, batch: int) -> float:
        """Tiles per second."""
        with tempfile.TemporaryDirectory() as out:
            task = {"slides": list(map(str, slides)), "weights": str(weights), "tile": 224, "mpp": 0.5}
            task |= {"batch": batch, "out": out, **self.options}
            done = subprocess.run(
                [self.python, self.program, json.dumps(task)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT) if self.bar else "", "OMP_NUM_THREADS": str(os.cpu_count())},
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise SystemExit(f"{self.name} failed:\n{done.stderr[-3000:]}")
        found = json.loads(done.stdout.splitlines()[-1])
        return float(found["tiles"] / found["seconds"])


def peer(name: str, environments: Path) -> Runner:
    """A peer in its environment, which is made if it is not there."""
    folder = environments / name
    python, uv = folder / "bin/python", shutil.which("uv") or Path(sys.executable).with_name("uv")
    if not (folder / "installed").is_file():
        print(f"making an environment for {name}", file=sys.stderr, flush=True)
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PACKAGES[name]], check=True)
        (folder / "installed").touch()
    return Runner(name, python, PROGRAMS / f"{name}_features.py", {})


def ours() -> list[Runner]:
    """mmfed in the ways that this CPU can run."""
    ways = [("fp32", "torch", 1.5), ("fp32", "openvino", 2.0)]
    if cpu_has_bf16():
        ways.append(("bf16", "openvino", 4.0))
    else:
        print("this CPU has neither avx512_bf16 nor AMX: bf16 with OpenVINO (bar 4x) is not tried\n")
    program, workers = PROGRAMS / "mmfed_features.py", os.cpu_count()
    return [
        Runner(
            f"mmfed, {precision} {engine}",
            Path(sys.executable),
            program,
            {"engine": engine, "precision": precision, "workers": workers},
            bar,
        )
        for precision, engine, bar in ways
    ]


def measure(runners: list[Runner], slides: list[Path], weights: Path, options: argparse.Namespace) -> None:
    """Run all in each round, every second one backwards, and print the medians and the ratios."""
    rates: dict[str, list[float]] = {runner.name: [] for runner in runners}
    for number in range(options.rounds):
        for runner in runners[:: -1 if number % 2 else 1]:
            rates[runner.name].append(runner.run(slides, weights, options.batch))
            print(
                f"round {number + 1}: {runner.name} {rates[runner.name][-1]:.2f} tiles/s", file=sys.stderr, flush=True
            )
    peers = [runner.name for runner in runners if not runner.bar]
    print("| | tiles/s |" + "".join(f" x {name} |" for name in peers) + " bar |\n|---|---|" + "---|" * (len(peers) + 1))
    for runner in runners:
        own = rates[runner.name]
        ratios = [statistics.median(a / b for a, b in zip(own, rates[name], strict=True)) for name in peers]
        cells = "".join(f" {ratio:.2f} |" for ratio in ratios)
        print(f"| {runner.name} | {statistics.median(own):.2f} |{cells} {runner.bar or ''} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=Path, nargs="+", default=[REAL], help="slides that state their resolution")
    parser.add_argument("--copies", type=int, default=3, help="how often each slide is encoded in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16, help="of the peers")
    parser.add_argument("--peers", nargs="+", choices=list(PACKAGES), default=list(PACKAGES))
    parser.add_argument("--environments", type=Path, help="where the peers' environments are, or will be kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        torch.manual_seed(0)
        torch.save(resnet50().state_dict(), folder / "resnet50.pth")
        slides = []
        for number in range(options.copies):
            for slide in options.slides:
                slides.append(folder / f"{slide.stem}_{number}{slide.suffix}")
                shutil.copy(slide, slides[-1])
        environments = (options.environments or folder / "environments").resolve()
        runners = [*ours(), *(peer(name, environments) for name in options.peers)]
        measure(runners, slides, folder / "resnet50.pth", options)


if __name__ == "__main__":
    main()
