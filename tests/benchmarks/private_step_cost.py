"""What a private step costs beside a plain one: time in pairs, peak memory in processes of their own.

    OMP_NUM_THREADS=1 python tests/benchmarks/private_step_cost.py [--repeats 15] [--variants] [--only dp_small]

A plain step is forward, mean loss, backward and AdamW on a batch that is there already, as in client/training.py. A
private one is shared/privacy/step.py with the engine that `backend = "auto"` chooses and its ChaCha20 noise, drawn by
a second thread. Bags are full, so nothing is gained from cutting off padding, except in the row that says so.
Ratios are medians over the pairs. Memory is the peak of the resident set during five steps: `step` is what it rises
above the process with model and batch, `process` is all of it. `--variants` adds every engine, noise in the same
thread, no noise, and Opacus's own optimizer.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from client.training import inner_optimizer  # noqa: E402
from shared.cohort.batch import Batch, ModelOutput  # noqa: E402
from shared.cohort.patients import Patients  # noqa: E402
from shared.models import build_model  # noqa: E402
from shared.study import Study, parse_study  # noqa: E402
from shared.tasks import loss_of  # noqa: E402

FEATURES, CLASSES, GROUPS, MEMORY_BAR = 1024, 4, 6, 2.5
Action = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """A model, how many patients with how many patches, and what the ratio may be."""

    model: dict[str, object]
    rows: int
    patches: int
    bar: float
    genes: int = 3000  # 0 = slides alone
    silent: bool = False  # the bar is without noise
    unequal: bool = False  # bags of a quarter up to all of the patches


UMEML = {"architecture": "umeml", "dim": 256, "heads": 8}
CASES = {
    "umeml": Case(UMEML, 16, 1024, 1.4),
    "umeml, unequal bags": Case(UMEML, 16, 1024, 1.4, unequal=True),
    "dp_small": Case({"architecture": "dp_small"}, 16, 512, 1.5, genes=96),  # six panels of 16 genes
    "33 tokens, umeml": Case({"architecture": "umeml", "dim": 120, "heads": 8}, 32, 33, 3.0, silent=True),
    "33 tokens, transmil": Case({"architecture": "transmil", "dim": 352}, 32, 33, 3.0, genes=0, silent=True),
}


def study_of(case: Case) -> Study:
    size = case.genes // GROUPS
    groups = {f"g{i}": tuple(f"G{gene:04d}" for gene in range(i * size, (i + 1) * size)) for i in range(GROUPS)}
    modalities: dict[str, object] = {"slides": {"encoder": "bench", "dim": FEATURES, "max_patches": case.patches}}
    if case.genes:
        modalities["expression"] = {"genes": "gmt", "groups": groups}
    classes = [f"c{i}" for i in range(CLASSES)]
    return parse_study(
        {
            "schema": 1,
            "name": "bench",
            "task": {"kind": "classification", "column": "grade", "classes": classes},
            "model": case.model,
            "modalities": modalities,
        }
    )


def batch_of(case: Case) -> Batch:
    """Complete patients."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(case.patches // 4, case.patches + 1, case.rows)
    lengths[0] = case.patches

    def table(width: int) -> np.ndarray:
        return rng.normal(size=(case.rows, width)).astype(np.float32)

    tables = {"expression": table(case.genes), "aux": table(0), "blood": table(0), "clinical": table(0)}
    modalities = ("slides", "expression") if case.genes else ("slides",)
    patients = Patients(
        site=np.full(case.rows, "A"),
        case_id=np.arange(case.rows).astype(str),
        modalities=modalities,
        present=np.ones((case.rows, len(modalities)), dtype=np.float32),
        bags=tuple(
            rng.normal(size=(length if case.unequal else case.patches, FEATURES)).astype(np.float32)
            for length in lengths
        ),
        max_patches=case.patches,
        **tables,
        **{f"{name}_observed": np.ones_like(values, dtype=bool) for name, values in tables.items()},
        y=rng.integers(0, CLASSES, case.rows),
        time=np.zeros(case.rows, dtype=np.float32),
        cens=np.zeros(case.rows, dtype=np.float32),
    )
    return replace(patients.batch(range(case.rows)))


class Bench:
    """One case ready to step: plainly, or privately in many ways."""

    def __init__(self, case: Case) -> None:
        self.case, self.study = case, study_of(case)
        torch.default_generator.manual_seed(0)
        self.model, self.batch = build_model(self.study).train(), batch_of(case)
        self.parameters = dict(self.model.named_parameters())
        self.count = sum(p.numel() for p in self.parameters.values())
        self.task_loss = loss_of(self.study)
        self._inner = self.inner()

    def inner(self) -> torch.optim.Optimizer:
        return inner_optimizer(self.study.training, list(self.parameters.values()), 1e-4)

    def losses(self, output: ModelOutput, batch: Batch) -> torch.Tensor:
        return self.task_loss(output, batch) + output["aux_loss"]

    def plain(self) -> None:
        losses = self.losses(self.model(self.batch), self.batch)
        self._inner.zero_grad(set_to_none=True)
        losses.mean().backward()
        self._inner.step()

    def private(self, engine: object = None, noise: object = None) -> Action:
        """A private step: with its own engine and noise, or with others."""
        from shared.privacy.gradients import engine_of
        from shared.privacy.optimizer import PrivateOptimizer
        from shared.privacy.step import private_step

        engine = engine or engine_of("auto", self.parameters, self.case.patches)
        noise = noise or self.ahead()
        optimizer = PrivateOptimizer(self.inner(), sigma=1.0, clip=1.0, expected_batch=self.case.rows, noise=noise)
        return lambda: private_step(self.model, self.parameters, optimizer, self.batch, self.losses, engine)

    def ahead(self) -> object:
        from shared.privacy.noise import Ahead, ChaCha20

        return Ahead(ChaCha20(), self.count, torch.device("cpu"), 10**6)

    def stock(self, engine: object) -> Action:
        """The same gradients into Opacus's own optimizer and noise."""
        from opacus.optimizers import DPOptimizer

        from shared.privacy.gradients import gradients

        settings = {"noise_multiplier": 1.0, "max_grad_norm": 1.0, "expected_batch_size": self.case.rows}
        optimizer = DPOptimizer(self.inner(), **settings)

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            done = 0
            for chunk in gradients(self.model, self.parameters, self.batch, self.losses, engine):
                for parameter, sample in zip(self.parameters.values(), chunk, strict=True):
                    parameter.grad_sample = sample
                done += len(chunk[0])
                optimizer.signal_skip_step(done < self.case.rows)
                optimizer.step()
                if done < self.case.rows:
                    optimizer.zero_grad(set_to_none=True)

        return step


class Silence:
    def standard_normal(self, count: int, device: torch.device) -> torch.Tensor:
        return torch.zeros(count, device=device)


def timed(action: Action) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def times(bench: Bench, repeats: int, variants: bool) -> dict[str, list[float]]:
    """Milliseconds of a step, and its ratio to the plain one of the same pair, by name."""
    from shared.privacy.gradients import Engine
    from shared.privacy.noise import ChaCha20

    silence, chacha = Silence(), ChaCha20()
    actions: dict[str, Action] = {
        "private": bench.private(noise=silence if bench.case.silent else None),
        "noise alone": lambda: chacha.standard_normal(bench.count, torch.device("cpu")),
    }
    if bench.case.silent:
        actions["with noise"] = bench.private()
    if variants:
        whole, half = Engine("vmap", bench.case.rows), Engine("vmap", bench.case.rows // 2)
        actions |= {
            "no noise": bench.private(noise=silence),
            "noise in the same thread": bench.private(noise=chacha),
            "loop": bench.private(Engine("loop", 1)),
            "vmap, all at once": bench.private(whole),
            "vmap, halves": bench.private(half),
            "vmap, 4 at a time": bench.private(Engine("vmap", 4)),
            "loop, Opacus's optimizer": bench.stock(Engine("loop", 1)),
            "vmap, Opacus's optimizer": bench.stock(whole),
        }
    bench.plain()
    for action in actions.values():
        action()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            plain = timed(bench.plain)
            found[name].append((timed(action), plain))
    return {
        name: [
            statistics.median(own for own, _ in pairs) * 1e3,
            statistics.median(plain for _, plain in pairs) * 1e3,
            statistics.median(own / plain for own, plain in pairs),
        ]
        for name, pairs in found.items()
    }


def peak(action: Action) -> list[float]:
    """Megabytes that five steps add to the resident set at most, and all of it at that moment."""

    def resident(name: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

    before = resident("VmRSS:")
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    for _ in range(5):
        action()
    return [resident("VmHWM:") - before, resident("VmHWM:")]


def measure(what: str, name: str, repeats: int) -> object:
    bench = Bench(CASES[name])
    match what:
        case "plain memory":
            return peak(bench.plain)
        case "private memory":
            return peak(bench.private())
        case "engine":
            from shared.privacy.gradients import engine_of

            engine = engine_of("auto", bench.parameters, bench.case.patches)
            return [bench.count, engine.name, min(engine.chunk, bench.case.rows)]
    return times(bench, repeats, what == "variants")


def apart(what: str, name: str, repeats: int) -> object:
    """A measurement in a fresh process."""
    command = [sys.executable, __file__, "--measure", what, "--only", name, "--repeats", str(repeats)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--variants", action="store_true")
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.measure:
        sys.stdout.write(json.dumps(measure(options.measure, options.only, options.repeats)))
        sys.stdout.flush()
        import os

        os._exit(0)  # the thread that draws noise ahead would go on
    names = [options.only] if options.only else list(CASES)
    print("| case | parameters | engine | step | ms | plain ms | ratio | bar |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        count, engine, chunk = apart("engine", name, 0)
        found = apart("variants" if options.variants else "times", name, options.repeats)
        for step, (own, plain, ratio) in found.items():
            bar = f"{CASES[name].bar}" if step == "private" else ""
            label = "private, no noise" if step == "private" and CASES[name].silent else step
            own_ratio = "" if step == "noise alone" else f"{ratio:.2f}"
            print(
                f"| {name} | {count:,} | {engine} {chunk} | {label} | {own:.1f} | {plain:.1f} | {own_ratio} | {bar} |"
            )
    print("\n| case | plain: step MB | process MB | private: step MB | process MB | step ratio | process ratio | bar |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        (plain, all_plain), (own, all_own) = (apart(f"{what} memory", name, 0) for what in ("plain", "private"))
        ratios = f"{own / plain:.2f} | {all_own / all_plain:.2f} | {MEMORY_BAR}"
        print(f"| {name} | {plain:.0f} | {all_plain:.0f} | {own:.0f} | {all_own:.0f} | {ratios} |")


if __name__ == "__main__":
    main()
