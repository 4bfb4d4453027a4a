"""What the blockwise modularity costs beside the direct form: time, peak memory, and whether both say the same.

    python tests/benchmarks/modularity_cost.py [--patches 4096] [--repeats 9] [--threads 2]

`direct` keeps A (N x N) for the backward pass; `W stored` makes W too and takes the trace of W S^T S over N x N, as the
formula is written; `blockwise` is what trains. Times are forward and backward of one patient, the forms in turn, as the
median of the paired ratios. Memory is the rise of the resident peak over the inputs, each form in a fresh process.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from shared.models.modularity import (  # noqa: E402
    assignments,
    cause_modularity,
    cause_modularity_direct,
    paper_modularity,
    paper_modularity_direct,
    unit_features,
)

DIM, TOKENS = 256, (5, 7)  # prototypes; gene groups and the global token


def with_w(unit: Tensor, families: list[Tensor]) -> list[Tensor]:
    """Tr(W S^T S) / s with A, W and the N x N product in memory."""
    affinity = torch.relu(unit @ unit.transpose(1, 2))
    affinity = affinity - torch.diag_embed(affinity.diagonal(dim1=1, dim2=2))
    degree = affinity.sum(dim=2)
    total = degree.sum(dim=1)
    w = affinity - degree[:, :, None] * degree[:, None, :] / total[:, None, None]
    return [(w * (rows.transpose(1, 2) @ rows)).sum(dim=(1, 2)) / total for rows in families]


FORMS = {
    "direct": paper_modularity_direct,
    "W stored": with_w,
    "blockwise": paper_modularity,
    "cause, direct": cause_modularity_direct,
    "cause, blockwise": cause_modularity,
}
PAPER, CAUSE = ("direct", "W stored", "blockwise"), ("cause, direct", "cause, blockwise")


def drawn(patches: int) -> tuple[Tensor, Tensor]:
    """Patches in five loose communities, and tokens."""
    random = torch.Generator().manual_seed(0)
    centres = torch.randn(5, DIM, generator=random)[torch.randint(0, 5, (patches,), generator=random)]
    features = (centres + torch.randn(patches, DIM, generator=random)).relu()[None]
    return features, torch.randn(1, sum(TOKENS), DIM, generator=random)


def step(form: str, features: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Value of both families and the gradient of the tokens."""
    tokens = tokens.clone().requires_grad_()
    unit = unit_features(features, torch.ones(features.shape[:2], dtype=torch.bool))
    values = FORMS[form](unit, list(assignments(tokens, unit).split(list(TOKENS), dim=1)))
    total = values[0] + values[1]
    (slope,) = torch.autograd.grad(total.sum(), tokens)
    return total.detach(), slope


def peak_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def memory(form: str, patches: int) -> float:
    """Megabytes that one step adds to the peak."""
    step(form, *drawn(64))  # what torch loads once
    inputs = drawn(patches)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
    before = peak_mb()
    step(form, *inputs)
    return peak_mb() - before


def memory_in_a_process(form: str, options: argparse.Namespace) -> float:
    call = [
        sys.executable,
        __file__,
        "--child",
        form,
        "--patches",
        str(options.patches),
        "--threads",
        str(options.threads),
    ]
    return json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)


def compare(forms: tuple[str, ...], patches: int, repeats: int, options: argparse.Namespace) -> None:
    """Print the rows of some forms; the first is what the others are held against."""
    inputs = drawn(patches)
    reference = step(forms[0], *inputs)
    seconds: dict[str, list[float]] = {form: [] for form in forms}
    for _ in range(repeats):
        for form in forms:
            started = time.perf_counter()
            step(form, *inputs)
            seconds[form].append(time.perf_counter() - started)
    base = memory_in_a_process(forms[0], options)
    for form in forms:
        ratio = statistics.median(own / first for own, first in zip(seconds[form], seconds[forms[0]], strict=True))
        extra = memory_in_a_process(form, options)
        got = step(form, *inputs)
        apart = [float((ours - theirs).abs().max()) for ours, theirs in zip(got, reference, strict=True)]
        print(
            f"| {form} | {patches} | {statistics.median(seconds[form]) * 1e3:.0f} | {ratio:.2f} | {extra:.1f} "
            f"| {extra / base:.3f} | {apart[0]:.0e} | {apart[1]:.0e} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", choices=FORMS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.child:
        print(json.dumps(memory(options.child, options.patches)))
        return
    print("| form | N | ms | time / direct | extra peak MB | memory / direct | value apart | gradient apart |")
    print("|---|---|---|---|---|---|---|---|")
    compare(PAPER, options.patches, options.repeats, options)
    options.patches = min(options.patches, 2048)  # the direct form of cause holds K x N x N numbers
    compare(CAUSE, options.patches, 3, options)


if __name__ == "__main__":
    main()
