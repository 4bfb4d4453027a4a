"""What 100, 300 and 1,000 simulated hospitals cost. Bar: 20 rounds of 1,000 in 5 minutes; memory is that of the data.

    OMP_NUM_THREADS=1 python tests/benchmarks/thousand_sites.py [--sites 100,300,1000] [--rounds 20] [--engine inline]
    OMP_NUM_THREADS=1 python tests/benchmarks/thousand_sites.py --sites 300 --profile rounds.prof

Every hospital has 20 patients of 300 genes, 14 of whom train a model of 98,336 parameters. Preparing and training are
measured in a fresh process each. `data MB` is what the arrays of the fold's patients take, and `rounds MB` how far the
process that trains came to lie beyond where it was when they had been loaded.
"""

import argparse
import cProfile
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

GENES, PATIENTS, DIM = 300, 20, 104
COLUMNS = ("sites", "prepare s", "CPU s", "load s", "train s", "CPU s", "a round s", "ms a message")
COLUMNS += ("data MB", "rounds MB", "peak MB")


def write_tables(folder: Path, sites: int) -> Path:
    """A cohort folder: the grade is in the first thirty genes of every patient."""
    rng = np.random.default_rng(sites)
    folder.mkdir(parents=True)
    cases = [f"S{site:04d}-{i:02d}" for site in range(sites) for i in range(PATIENTS)]
    grade = rng.integers(3, size=len(cases))
    genes = rng.normal(size=(GENES, len(cases))).astype(np.float32)
    genes[:30] += (grade - 1) * 0.5
    clinical = {"case_id": cases, "site": [c[:5] for c in cases], "grade": np.array(["G2", "G3", "G4"])[grade]}
    pd.DataFrame(clinical).to_csv(folder / "clinical.tsv", sep="\t", index=False)
    table = pd.DataFrame(genes.round(3), index=[f"GENE{i}" for i in range(GENES)], columns=cases)
    table.to_csv(folder / "expression.tsv", sep="\t", index_label="gene_symbol")
    return folder


def study_of(rounds: int):
    from shared.study import parse_study

    return parse_study(
        {
            "schema": 1,
            "name": "thousand",
            "task": {"kind": "classification", "column": "grade", "classes": ["G2", "G3", "G4"]},
            "model": {"architecture": "s1_crossattn", "dim": DIM, "heads": 8},
            "modalities": {"expression": {"genes": "cohort"}},
            "training": {"rounds": rounds, "batch_size": 16, "learning_rate": 1e-3},
        }
    )


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def now_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def data_mb(fold) -> float:
    """What the arrays of the fold's patients take."""
    patients = [site.patients for site in fold.sites.values()]
    return sum(a.nbytes for p in patients for a in vars(p).values() if isinstance(a, np.ndarray)) / 2**20


def ready_of(folder: Path, rounds: int):
    from simulations.ready import make_ready

    return make_ready(study_of(rounds), cohort=str(folder / "cohort"), cache=folder / "cache", progress=lambda *_: None)


def prepare(folder: Path, rounds: int, **_: object) -> dict[str, float]:
    ready_of(folder, rounds)
    return {"peak": peak_mb(), "cpu": time.process_time()}


def train(folder: Path, rounds: int, engine: str, profile: str) -> dict[str, float]:
    from shared.logs import configure_logs
    from shared.weights import message_size
    from simulations.arms import train_arm
    from simulations.engine import open_engine
    from simulations.fold import make_folds

    configure_logs(level=30)
    ready = ready_of(folder, rounds)
    started = time.perf_counter()
    (fold,) = make_folds(ready.hospitals, ready.study, PATIENTS, None)
    loaded = {"load": time.perf_counter() - started, "data": data_mb(fold), "start": now_mb()}
    profiler = cProfile.Profile() if profile else None
    with open_engine(engine) as opened:
        started, cpu = time.perf_counter(), time.process_time()
        if profiler:
            profiler.enable()
        trained = train_arm("federated", fold, ready.hospitals, folder / "runs", engine=opened)
        if profiler:
            profiler.disable()
            profiler.dump_stats(profile)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    assert all(len(round_["sites"]) == len(fold.training) for round_ in trained.rounds)
    return {
        **loaded,
        "seconds": seconds,
        "cpu": cpu,
        "round": float(np.median([round_["seconds"] for round_ in trained.rounds])),
        "loss": trained.rounds[-1]["loss"],
        "parameters": message_size(fold.study),
        "growth": peak_mb() - loaded["start"],
        "peak": peak_mb(),
    }


def apart(part: str, folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """One part in a process of its own."""
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder), "--rounds", str(arguments.rounds)]
    command += ["--engine", arguments.engine, "--profile", arguments.profile if part == "train" else ""]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {**json.loads(done.stdout.strip().splitlines()[-1]), "wall": time.perf_counter() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sites", default="100,300,1000")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--engine", default="inline")
    parser.add_argument("--profile", default="", help="write a cProfile of the training here")
    parser.add_argument("--part", default="", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        part = {"prepare": prepare, "train": train}[arguments.part]
        folder = Path(arguments.folder)
        print(json.dumps(part(folder, arguments.rounds, engine=arguments.engine, profile=arguments.profile)))
        return
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for sites in map(int, arguments.sites.split(",")):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            write_tables(folder / "cohort", sites)
            first = apart("prepare", folder, arguments)
            then = apart("train", folder, arguments)
        message = 1000 * then["seconds"] / (sites * (arguments.rounds + 2))
        told = [first["wall"], first["cpu"], then["load"], then["seconds"], then["cpu"], then["round"], message]
        sizes = [then["data"], then["growth"], then["peak"]]
        cells = [str(sites), *(f"{value:.1f}" for value in told), *(f"{size:.0f}" for size in sizes)]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
