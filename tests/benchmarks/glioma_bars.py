"""The bars of UMEML on synthetic glioma: fusion beats one modality, and modality dropout halves the cost of a loss.

    python tests/benchmarks/glioma_bars.py [--seeds 0 1 2] [--set key=value ...]

Each seed is another cohort, split and set of initial weights. Every figure is of the federated model on held-out
patients of all hospitals, trained or unseen, who have both slides and expression. Intervals are paired bootstraps.
What taking a modality away costs is measured three ways, beside what a model trained on the other one alone loses:
the least that the information that is left allows.
"""

import argparse
from pathlib import Path

import numpy as np
from held_out import draws_of, on_common, predictions, shown

from shared.logs import configure_logs
from shared.metrics import LOWER_IS_BETTER, interval
from shared.study import read_study

STUDY = Path(__file__).parents[2] / "simulations" / "studies" / "s3_glioma_grade.toml"
ROWS = {
    "both": (),
    "slides": ("modalities.expression=false",),
    "expression": ("modalities.slides=false",),
    "no dropout": ("training.modality_dropout=0.0",),
}
METRICS = ("auc", "accuracy", "brier")
OTHER = {"slides": "expression", "expression": "slides"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    options = parser.parse_args()
    configure_logs(level=40)
    names = [*ROWS, *(f"{row} - {name}" for row in ("both", "no dropout") for name in OTHER)]
    print("| cohort seed | patients | " + " | ".join(names) + " |\n|" + "---|" * (2 + len(names)))
    tables = {metric: [] for metric in METRICS}
    for seed in options.seeds:
        models = {}
        for row, settings in ROWS.items():
            found = predictions(read_study(STUDY), "synthetic", (*options.settings, *settings), seed, options.cache)
            models |= {f"{row} - {name}" if name else row: one for name, one in found.items()}
        models = on_common(models)
        for metric, table in tables.items():
            table.append(draws_of(models, metric, seed))
        figures = " | ".join(f"{tables['auc'][-1][name][0]:.3f}" for name in names)
        print(f"| {seed} | {len(models['both'].rows)} | {figures} |", flush=True)
    _fusion(tables["auc"])
    for metric, table in tables.items():
        _loss(metric, table)


def _fusion(tables) -> None:
    best = max(OTHER, key=lambda name: np.mean([table[name][0] for table in tables]))
    points = [table["both"][0] - table[best][0] for table in tables]
    print(f"\nAUC, both - {best} alone: {shown(points, [t['both'][1] - t[best][1] for t in tables])} (bar: above 0)")


def _loss(metric: str, tables) -> None:
    """What taking a modality away costs, mean over modalities and cohorts, with and without modality dropout."""
    sign = -1 if metric in LOWER_IS_BETTER else 1
    costs = {}
    for row in ("both", "no dropout"):
        pairs = [(table[row], table[f"{row} - {name}"]) for table in tables for name in OTHER]
        costs[row] = [sign * (a[0] - b[0]) for a, b in pairs], [sign * (a[1] - b[1]) for a, b in pairs]
    pairs = [(table["both"], table[OTHER[name]]) for table in tables for name in OTHER]
    least = [sign * (a[0] - b[0]) for a, b in pairs], [sign * (a[1] - b[1]) for a, b in pairs]
    ratio = np.mean(costs["both"][0]) / np.mean(costs["no dropout"][0])
    low, high = interval(np.mean(costs["both"][1], axis=0) / np.mean(costs["no dropout"][1], axis=0))
    beyond = [np.mean(costs[row][0]) - np.mean(least[0]) for row in costs]
    print(
        f"{metric}: a modality less costs {shown(*costs['both'])} with modality dropout, {shown(*costs['no dropout'])} "
        f"without: ratio {ratio:.2f} [{low:.2f}, {high:.2f}] (bar: below .5); the other modality's own model loses "
        f"{shown(*least)}, beyond which the two lose {beyond[0]:+.3f} and {beyond[1]:+.3f}"
    )


if __name__ == "__main__":
    main()
