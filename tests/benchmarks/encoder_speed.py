"""Images a second of a frozen encoder, by engine, precision and thread layout, on tiles that lie in memory.

    OMP_NUM_THREADS=1 python tests/benchmarks/encoder_speed.py [--encoder resnet50] [--workers 2] [--tiles 96]

All rows are measured in turn, several rounds in one process, and each is compared with the plain loop (torch as it
comes: no folding, no channels-last, one call on all cores) of the same round; the table gives medians. bf16 is measured
where the processor has it in hardware, with --emulate elsewhere too.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from client.prepare.encoders import Encoder, build_encoder
from client.prepare.encoders.plan import cpu_has_bf16
from client.prepare.encoders.table import ENCODERS, seeded
from client.prepare.encoders.transform import Network
from shared.errors import EncoderError
from shared.site import Site

Pass = Callable[[np.ndarray], None]  # over all tiles


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def plain_loop(name: str, workers: int, batch: int) -> Pass:
    kind = ENCODERS[name]
    network = Network(seeded(kind), kind.transform).eval()

    def run(tiles: np.ndarray) -> None:
        with torch_threads(workers), torch.inference_mode():
            for start in range(0, len(tiles), batch):
                network(
                    torch.from_numpy(tiles[start : start + batch]).permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
                )

    return run


def threaded(encoder: Encoder) -> Pass:
    def run(tiles: np.ndarray) -> None:
        parts = [tiles[start : start + encoder.batch] for start in range(0, len(tiles), encoder.batch)]
        with torch_threads(1), ThreadPoolExecutor(encoder.workers) as pool:
            list(pool.map(encoder.encode, parts))

    return run


def one_call_on_all_cores(encoder: Encoder) -> Pass:
    def run(tiles: np.ndarray) -> None:
        with torch_threads(encoder.workers):
            encoder.encode(tiles)

    return run


def variants(name: str, workers: int, batch: int, emulate: bool) -> dict[str, Pass]:
    found: dict[str, Pass] = {f"plain torch, {workers} threads in a call": plain_loop(name, workers, batch)}
    for device in ("cpu", *(("cuda",) if torch.cuda.is_available() else ())):
        for engine in ("torch", "openvino") if device == "cpu" else ("torch",):
            for precision in ("fp32", "bf16"):
                if precision == "bf16" and device == "cpu" and not (cpu_has_bf16() or emulate):
                    continue
                compute = {"device": device, "engine": engine, "precision": precision, "workers": workers}
                site = Site.model_validate({"schema": 1, "site": {"id": "A"}, "compute": compute})
                try:
                    encoder = build_encoder(name, weights="random", site=site)
                except EncoderError as exc:
                    print(f"left out: {device} {engine} {precision}: {exc}")
                    continue
                found[f"{device} {engine} {precision}, {workers} calls at once"] = threaded(encoder)
                if (device, engine, precision) == ("cpu", "torch", "fp32"):
                    found[f"cpu torch fp32, {workers} threads in a call"] = one_call_on_all_cores(encoder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--encoder", default="resnet50")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tiles", type=int, default=96)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16, help="of the plain loop")
    parser.add_argument("--emulate", action="store_true", help="measure bf16 where the processor lacks it too")
    options = parser.parse_args()
    shape = (options.tiles, options.side, options.side, 3)
    tiles = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    passes = variants(options.encoder, options.workers, options.batch, options.emulate)
    for run in passes.values():
        run(tiles[: 2 * options.batch])  # compiles, and warms caches
    seconds: dict[str, list[float]] = {name: [] for name in passes}
    for _ in range(options.rounds):
        for name, run in passes.items():
            start = time.perf_counter()
            run(tiles)
            seconds[name].append(time.perf_counter() - start)
    report(options, seconds)


def report(options: argparse.Namespace, seconds: dict[str, list[float]]) -> None:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    print(f"processor: {model}, {torch.backends.cpu.get_cpu_capability()}, bf16 in hardware: {cpu_has_bf16()}")
    print(f"{options.encoder}, {options.tiles} tiles of {options.side} px, {options.rounds} rounds\n")
    plain = next(iter(seconds.values()))
    print(f"{'':52}{'images/s':>10}{'ratio':>8}")
    for name, own in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(plain, own, strict=True))
        print(f"{name:52}{options.tiles / statistics.median(own):10.1f}{ratio:8.2f}")


if __name__ == "__main__":
    main()
