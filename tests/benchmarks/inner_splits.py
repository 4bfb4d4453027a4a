"""Choose a recipe without looking at a test patient: score settings on inner splits of the training patients.

For each repeat of the study's split, the own test patients and all unseen hospitals are taken out of the cohort; what
is left is split again, trained federated and scored. Prints one row a setting: the mean over repeats.

python tests/benchmarks/inner_splits.py --study glioma_survival --cohort ../shared/data/tcga_gbmlgg --split tss \
    --try "training.learning_rate=0.1" --try "training.learning_rate=0.3 training.rounds=60"
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from shared.logs import configure_logs
from shared.metrics import MAIN
from shared.study import Study, read_study
from simulations.adapt import of_fold
from simulations.fold import make_folds
from simulations.ready import make_ready
from simulations.simulate import Options, simulate

STUDIES = Path(__file__).parents[2] / "simulations" / "studies"


def inner_cohort(study: Study, cohort: Path, options: argparse.Namespace, repeat: int, folder: Path) -> Path:
    """The cohort without test patients and unseen hospitals of this repeat: clinical.tsv is cut, the rest are links."""
    ready = make_ready(study, cohort=str(cohort), split=options.split, cache=options.cache, progress=lambda *_: None)
    (fold,) = make_folds(ready.hospitals, of_fold(ready.study, repeat, 0), options.min_site_patients, None)
    kept = {case for site in fold.training for case in fold.train(site, fold.statistics).case_id.tolist()}
    folder.mkdir()
    for path in cohort.iterdir():
        if path.name != "clinical.tsv":
            (folder / path.name).symlink_to(path.resolve())
    table = pd.read_csv(cohort / "clinical.tsv", sep="\t", dtype=str, keep_default_na=False)
    table[table["case_id"].isin(kept)].to_csv(folder / "clinical.tsv", sep="\t", index=False)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True)
    parser.add_argument("--cohort", type=Path, required=True)
    parser.add_argument("--split", default="tss")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--min-site-patients", type=int, default=20)
    parser.add_argument("--set", action="append", default=[], help="applies to every row")
    parser.add_argument("--try", action="append", default=[], dest="rows", help="settings of one row, by spaces")
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    options = parser.parse_args()
    configure_logs(level=40)
    study = read_study(STUDIES / f"{options.study}.toml")
    names = [name for name in MAIN[study.task.kind] if name != "c_index_within_site"]
    print(f"| settings | {' | '.join(names)} | floor {names[0]} |\n|{'---|' * (len(names) + 2)}")
    with tempfile.TemporaryDirectory() as scratch:
        cohorts = [
            inner_cohort(study, options.cohort, options, repeat, Path(scratch) / str(repeat))
            for repeat in range(options.repeats)
        ]
        for row in options.rows or [""]:
            found, floor = [], []
            for number, cohort in enumerate(cohorts):
                run = Options(
                    study=study,
                    settings=(*options.set, *row.split(), f"seed={study.seed + 1000}"),
                    cohort=str(cohort),
                    split=options.split,
                    # two thirds of the patients are left, and a training site must stay one
                    min_site_patients=options.min_site_patients // 2,
                    arms=("federated",),
                    cache=Path(scratch) / "cache",
                    out=Path(scratch) / f"run-{len(list(Path(scratch).iterdir()))}-{number}",
                )
                _, metrics = simulate(run, lambda *_: None, lambda _: None)
                found.append([metrics["arms"]["federated"]["own"][name]["value"] for name in names])
                best = metrics["baselines"].get("linear_all") or metrics["baselines"]["linear_expression"]
                floor.append(best["own"][names[0]]["value"])
            means = " | ".join(f"{value:.4f}" for value in np.mean(found, axis=0))
            print(f"| {row or 'as written'} | {means} | {np.mean(floor):.4f} |", flush=True)


if __name__ == "__main__":
    main()
