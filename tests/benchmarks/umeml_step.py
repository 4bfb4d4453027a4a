"""What one training step of `umeml` costs beside a hand-written minimal version of the same layers.

    python tests/benchmarks/umeml_step.py [--repeats 9] [--patches 1024]

`Minimal` below is the plain PyTorch that one would write for complete patients: no batch type, no presence, no masks of
observed genes, no options, torch's own fused attention. It is loaded with our weights and must give our logits and
loss. Then both train in turn: a step alone (forward, backward, AdamW), and a round of client/training.py beside a bare
loop that pads, steps and sums the losses. Ratios are medians over the pairs.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from client.training import train_round  # noqa: E402
from shared.cohort.patients import Patients  # noqa: E402
from shared.models import build_model  # noqa: E402
from shared.study import Study, parse_study  # noqa: E402

PATIENTS, BATCH, FEATURES, GENES, CLASSES, DIM, HEADS, GAMMA = 48, 16, 1024, 3000, 4, 256, 8, 5.0
GROUP_SIZE = GENES // 6


def study_of(patches: int) -> Study:
    groups = {f"g{i}": tuple(f"G{gene:04d}" for gene in range(i * GROUP_SIZE, (i + 1) * GROUP_SIZE)) for i in range(6)}
    return parse_study(
        {
            "schema": 1,
            "name": "bench",
            "task": {"kind": "classification", "column": "grade", "classes": [f"c{i}" for i in range(CLASSES)]},
            "model": {"architecture": "umeml", "dim": DIM, "heads": HEADS, "gamma": GAMMA},
            "modalities": {
                "slides": {"encoder": "bench", "dim": FEATURES, "max_patches": patches},
                "expression": {"genes": "gmt", "groups": groups},
            },
            "training": {"batch_size": BATCH, "learning_rate": 1e-3, "modality_dropout": 0.0},
        }
    )


def patients_of(patches: int) -> Patients:
    """Complete patients with bags of `patches`."""
    rng = np.random.default_rng(0)

    def table(width: int) -> dict[str, np.ndarray]:
        values = rng.normal(size=(PATIENTS, width)).astype(np.float32)
        return {"values": values, "observed": np.ones((PATIENTS, width), dtype=bool)}

    tables = {"expression": table(GENES), "aux": table(0), "blood": table(0), "clinical": table(0)}
    return Patients(
        site=np.full(PATIENTS, "A"),
        case_id=np.array([str(i) for i in range(PATIENTS)]),
        modalities=("slides", "expression"),
        present=np.ones((PATIENTS, 2), dtype=np.float32),
        bags=tuple(rng.normal(size=(patches, FEATURES)).astype(np.float32) for _ in range(PATIENTS)),
        max_patches=patches,
        **{name: part["values"] for name, part in tables.items()},
        **{f"{name}_observed": part["observed"] for name, part in tables.items()},
        y=rng.integers(0, CLASSES, PATIENTS),
        time=np.zeros(PATIENTS, dtype=np.float32),
        cens=np.zeros(PATIENTS, dtype=np.float32),
    )


class Attention(nn.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(DIM, DIM) for _ in range(4))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        q, k, v = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.q, query), (self.k, key), (self.v, key))
        )
        return self.o(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(DIM), Attention(HEADS)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        return x + self.attention(normed, normed)


class Minimal(nn.Module):
    """SEEDS.md 4.2 and 4.3 for complete patients with full bags and the default options."""

    def __init__(self) -> None:
        super().__init__()
        self.path_net = nn.Sequential(nn.Linear(FEATURES, DIM), nn.ReLU(), nn.Dropout(0.25))
        self.prototypes = nn.Parameter(torch.rand(5, DIM))
        self.cluster = nn.ModuleList(Attention(1) for _ in range(2))
        self.cluster_norm = nn.ModuleList(nn.LayerNorm(DIM) for _ in range(2))
        self.cls_p, self.cls_o = nn.Parameter(torch.rand(1, DIM)), nn.Parameter(torch.rand(1, DIM))
        self.path_enc = nn.Sequential(Block(), nn.LayerNorm(DIM))
        self.groups = nn.ModuleList(nn.Linear(GROUP_SIZE, DIM) for _ in range(6))
        self.whole = nn.Linear(GENES, DIM)
        self.dropout = nn.Dropout(0.25)
        self.omic_enc = nn.Sequential(Block(), Block(), Block(), nn.LayerNorm(DIM))
        self.registers = nn.Parameter(torch.rand(3, DIM))
        self.decoder = nn.Sequential(Block(), Block())
        self.fuse = nn.Sequential(nn.Linear(2 * DIM, DIM), nn.ReLU(), nn.Linear(DIM, DIM), nn.ReLU())
        self.head = nn.Linear(DIM, CLASSES)

    def forward(self, slides: Tensor, genes: Tensor) -> tuple[Tensor, Tensor]:
        """Slides (B, N, F) and genes (B, U), to logits (B, C) and the modularity loss (B,)."""
        rows = len(slides)
        h = self.path_net(slides)
        c = self.prototypes.expand(rows, -1, -1)
        for attention, norm in zip(self.cluster, self.cluster_norm, strict=True):
            c = c + norm(attention(c, h))
        zp = self.path_enc(torch.cat([self.cls_p.expand(rows, -1, -1), c], dim=1))
        parts = torch.stack(
            [layer(part) for layer, part in zip(self.groups, genes.split(GROUP_SIZE, dim=1), strict=True)], dim=1
        )
        omic = [self.cls_o.expand(rows, -1, -1), self.dropout(parts.relu()), self.whole(genes).relu()[:, None]]
        zg = self.omic_enc(torch.cat(omic, dim=1))
        decoded = self.decoder(torch.cat([zp, self.registers.expand(rows, -1, -1), zg], dim=1))
        fused = self.fuse(torch.cat([decoded[:, 0], decoded[:, 9]], dim=1))
        return self.head(fused), GAMMA * self.modularity(h.detach(), torch.cat([c, zg[:, 1:]], dim=1))

    def modularity(self, h: Tensor, tokens: Tensor) -> Tensor:
        unit = functional.normalize(h, dim=2)
        a = (unit @ unit.transpose(1, 2)).relu_()
        a.diagonal(dim1=1, dim2=2).zero_()
        degree = a.sum(dim=2)
        total = degree.sum(dim=1)
        s = (functional.normalize(tokens, dim=2) @ unit.transpose(1, 2)).relu()
        inside = ((s @ a) * s).sum(dim=(1, 2))
        return -(inside - (s @ degree[:, :, None]).square().sum(dim=(1, 2)) / total) / total


def copy_weights(ours: nn.Module, minimal: Minimal) -> None:
    """Our weights, in the order in which the minimal model names them."""
    slides, genes = ours.branches["slides"], ours.branches["expression"]
    pairs = [
        (minimal.path_net, slides.net),
        (minimal.path_enc, slides.encoder),
        (minimal.groups, genes.groups.groups),
        (minimal.whole, genes.whole),
        (minimal.omic_enc, genes.encoder),
        (minimal.decoder, ours.decoder),
        (minimal.fuse, ours.readout.fuse),
        (minimal.head, ours.readout.head),
    ]
    for i, layer in enumerate(slides.gather.layers):
        pairs += [(minimal.cluster[i], layer.attention), (minimal.cluster_norm[i], layer.norm)]
    tokens = [
        (minimal.prototypes, slides.gather.tokens),
        (minimal.cls_p, slides.cls),
        (minimal.cls_o, genes.cls),
        (minimal.registers, ours.registers),
    ]
    with torch.no_grad():
        for to, source in pairs:
            for a, b in zip(to.parameters(), source.parameters(), strict=True):
                a.copy_(b)
        for to, source in tokens:
            to.copy_(source.weight)


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def bare_round(minimal: Minimal, patients: Patients) -> float:
    """What train_round does, as a script would."""
    minimal.train()
    optimizer = torch.optim.AdamW(minimal.parameters(), lr=1e-3, weight_decay=1e-4, fused=True)
    total = 0.0
    for index in torch.randperm(PATIENTS).split(BATCH):
        slides = torch.from_numpy(np.stack([patients.bags[i] for i in index]))
        genes, y = torch.from_numpy(patients.expression[index]), torch.from_numpy(patients.y[index])
        logits, modularity = minimal(slides, genes)
        losses = functional.cross_entropy(logits, y, reduction="none") + modularity
        optimizer.zero_grad(set_to_none=True)
        losses.mean().backward()
        optimizer.step()
        total += float(losses.detach().sum())
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--patches", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    study, patients = study_of(options.patches), patients_of(options.patches)
    ours, minimal = build_model(study), Minimal()
    copy_weights(ours, minimal)
    batch = patients.batch(np.arange(BATCH))
    ours.eval(), minimal.eval()
    output, (logits, modularity) = ours(batch), minimal(batch.slides, batch.expression)
    torch.testing.assert_close(output["logits"], logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output["aux_loss"], modularity, rtol=1e-4, atol=1e-5)
    ours.train(), minimal.train()
    optimizers = [torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True) for model in (ours, minimal)]

    def our_step() -> None:
        found = ours(batch)
        losses = functional.cross_entropy(found["logits"], batch.y, reduction="none") + found["aux_loss"]
        optimizers[0].zero_grad(set_to_none=True)
        losses.mean().backward()
        optimizers[0].step()

    def minimal_step() -> None:
        found, own = minimal(batch.slides, batch.expression)
        losses = functional.cross_entropy(found, batch.y, reduction="none") + own
        optimizers[1].zero_grad(set_to_none=True)
        losses.mean().backward()
        optimizers[1].step()

    def our_round() -> None:
        train_round(ours, dict(ours.named_parameters()), patients, study, learning_rate=1e-3, seed=0)

    pairs = {"step": (our_step, minimal_step), "round of 3 steps": (our_round, lambda: bare_round(minimal, patients))}
    print(f"B = {BATCH}, N = {options.patches}, F = {FEATURES}, U = {GENES}, {options.threads} thread(s)\n")
    print("| what | ours ms | minimal ms | ratio |")
    print("|---|---|---|---|")
    for name, (own, bare) in pairs.items():
        timed(own), timed(bare)
        times = [(timed(own), timed(bare)) for _ in range(options.repeats)]
        medians = [statistics.median(column) * 1e3 for column in zip(*times, strict=True)]
        ratio = statistics.median(a / b for a, b in times)
        print(f"| {name} | {medians[0]:.0f} | {medians[1]:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
