"""The bar of S2 on synthetic bone tumours: three modalities beat every pair and every single one.

    python tests/benchmarks/bone_bars.py [--seeds 0 1 2] [--set key=value ...]

Each seed is another cohort, split and set of initial weights. Every figure is a macro AUC of the federated model on
held-out patients of all hospitals, trained or unseen, who have all three modalities. Intervals are paired bootstraps.
"""

import argparse
from pathlib import Path

import numpy as np
from held_out import draws_of, on_common, predictions, shown

from shared.logs import configure_logs
from shared.study import read_study
from simulations.ablations.systems import S2

STUDY = Path(__file__).parents[2] / "simulations" / "studies" / "s2_bone.toml"
ROWS = {row.value: row.settings for row in S2.rows if row.axis == "modality"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    options = parser.parse_args()
    configure_logs(level=40)
    print("| cohort seed | patients | " + " | ".join(ROWS) + " |\n|" + "---|" * (2 + len(ROWS)))
    tables = []
    for seed in options.seeds:
        models = {
            row: predictions(read_study(STUDY), "bone", (*options.settings, *settings), seed, options.cache)[""]
            for row, settings in ROWS.items()
        }
        models = on_common(models)
        tables.append(draws_of(models, "auc", seed))
        figures = " | ".join(f"{tables[-1][row][0]:.3f}" for row in ROWS)
        print(f"| {seed} | {len(next(iter(models.values())).rows)} | {figures} |", flush=True)
    full, *others = ROWS
    print("\n| all three minus | mean over cohorts [95 %] | |\n|---|---|---|")
    for row in others:
        points = [table[full][0] - table[row][0] for table in tables]
        draws = [table[full][1] - table[row][1] for table in tables]
        print(f"| {row} | {shown(points, draws)} | {'' if np.mean(points) > 0 else 'missed'} |")


if __name__ == "__main__":
    main()
