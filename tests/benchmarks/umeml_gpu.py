"""`umeml` at N = 4,096 patches on a GPU, in bf16 autocast and in fp32: step time, peak memory, AUC, idle share.

    python tests/benchmarks/umeml_gpu.py [--rounds 10]

Both start from the same weights and see the same drawn patients in the same order, through client/training.py: a few
patches of the second class are shifted, and a few genes. AUC is that of unseen patients. The GPU waits for data while
none of its kernels runs: 1 - (union of kernel times) / (wall time), from torch's profiler over the last round. Needs a
GPU; says so and exits 0 where there is none (`--device cpu` runs a small case, to check the script itself).
"""

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch.profiler import ProfilerActivity, profile

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from client.training import train_round  # noqa: E402
from shared.cohort.patients import Patients  # noqa: E402
from shared.models import build_model  # noqa: E402
from shared.study import Study, parse_study  # noqa: E402

FEATURES, GENES, BATCH = 1024, 3000, 16


def study_of(patches: int) -> Study:
    size = GENES // 6
    groups = {f"g{i}": tuple(f"G{gene:04d}" for gene in range(i * size, (i + 1) * size)) for i in range(6)}
    return parse_study(
        {
            "schema": 1,
            "name": "bench",
            "task": {"kind": "classification", "column": "idh", "classes": ["mut", "wt"]},
            "model": {"architecture": "umeml"},
            "modalities": {
                "slides": {"encoder": "bench", "dim": FEATURES, "max_patches": patches},
                "expression": {"genes": "gmt", "groups": groups},
            },
            "training": {"batch_size": BATCH, "learning_rate": 3e-4},
        }
    )


def patients_of(count: int, patches: int, seed: int) -> Patients:
    """Patients whose class shows in a tenth of the patches and in 30 genes, both with noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    direction = np.random.default_rng(99).normal(size=FEATURES).astype(np.float32)
    bags = []
    for label in y:
        bag = rng.standard_normal((patches, FEATURES), dtype=np.float32)
        bag[: patches // 10] += direction * (label + rng.normal(0, 0.4))
        bags.append(bag)
    genes = rng.standard_normal((count, GENES), dtype=np.float32)
    genes[:, :30] += 0.4 * (y[:, None] - 0.5)
    nothing, unseen = np.zeros((count, 0), dtype=np.float32), np.zeros((count, 0), dtype=bool)
    return Patients(
        site=np.full(count, "A"),
        case_id=np.array([str(i) for i in range(count)]),
        modalities=("slides", "expression"),
        present=np.ones((count, 2), dtype=np.float32),
        bags=tuple(bags),
        max_patches=patches,
        expression=genes,
        expression_observed=np.ones((count, GENES), dtype=bool),
        **dict.fromkeys(("aux", "blood", "clinical"), nothing),
        **dict.fromkeys(("aux_observed", "blood_observed", "clinical_observed"), unseen),
        y=y,
        time=np.zeros(count, dtype=np.float32),
        cens=np.zeros(count, dtype=np.float32),
    )


def union_s(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds covered by spans of microseconds."""
    covered, end = 0.0, float("-inf")
    for start, stop in sorted(spans):
        covered += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return covered / 1e6


def train(precision: str, study: Study, patients: Patients, unseen: Patients, rounds: int, device: torch.device) -> str:
    """One row of the table."""
    torch.manual_seed(0)
    model = build_model(study).to(device)
    parameters, cuda = dict(model.named_parameters()), device.type == "cuda"

    def one(number: int) -> float:
        started = time.perf_counter()
        result = train_round(model, parameters, patients, study, learning_rate=3e-4, seed=number, precision=precision)
        return (time.perf_counter() - started) / result.steps

    one(0)  # kernels are chosen, memory is set aside
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    steps = [one(number) for number in range(1, rounds)]
    peak = f"{torch.cuda.max_memory_allocated(device) / 2**30:.2f}" if cuda else "-"
    idle = "-"
    if cuda:
        with profile(activities=[ProfilerActivity.CUDA]) as watched:
            started = time.perf_counter()
            one(rounds)
            torch.cuda.synchronize(device)
            wall = time.perf_counter() - started
        kernels = [e for e in watched.events() if e.device_type == torch.autograd.DeviceType.CUDA]
        idle = f"{1 - union_s((e.time_range.start, e.time_range.end) for e in kernels) / wall:.1%}"
    model.eval()
    scores = []
    with torch.no_grad():
        for index in np.array_split(np.arange(len(unseen)), max(1, len(unseen) // BATCH)):
            logits = model(unseen.batch(index).to(device))["logits"]  # (B, 1), of the second class
            scores += logits[:, 0].tolist()
    auc = roc_auc_score(unseen.y, scores)
    return f"| {precision} | {np.median(steps) * 1e3:.0f} | {peak} | {auc:.4f} | {idle} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("expected a GPU, got none; run this where torch.cuda.is_available() is True")
        return
    device = torch.device(options.device)
    patches, count = (4096, 160) if options.device == "cuda" else (128, 32)
    study = study_of(patches)
    patients, unseen = patients_of(count, patches, 1), patients_of(2 * count, patches, 2)
    print(f"N = {patches}, B = {BATCH}, F = {FEATURES}, {count} patients, {options.rounds} rounds, {options.device}\n")
    print("| precision | ms a step | peak GiB | AUC of unseen patients | GPU without work |")
    print("|---|---|---|---|---|")
    for precision in ("fp32", "bf16"):
        print(train(precision, study, patients, unseen, options.rounds, device), flush=True)


if __name__ == "__main__":
    main()
