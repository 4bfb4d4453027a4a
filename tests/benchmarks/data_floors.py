"""Linear floors of the glioma tables over all 35 hospitals, in folds of patients and in folds of hospitals.

Everybody is tested once a repeat; nothing is fitted on test patients, but the tables were z-scored over everybody.
"within" counts only pairs of patients of one hospital. What others measured on these tables stands beside (5 folds;
ridge Cox and softmax regression without the reduction to 60 dimensions that mmfed's floors have).

python tests/benchmarks/data_floors.py --cohort ../shared/data/tcga_gbmlgg [--repeats 3]
"""

import argparse
import tempfile
from pathlib import Path

from shared.logs import configure_logs
from shared.site import Disclosure
from shared.study import read_study
from simulations.adapt import of_fold
from simulations.averages import average
from simulations.baselines import score_baselines
from simulations.disclosure_file import DISCLOSURE_FILE, disclosure_toml
from simulations.fold import make_folds
from simulations.ready import make_ready
from simulations.scores import Measured, measure_scores

STUDIES = Path(__file__).parents[2] / "simulations" / "studies"
Known = dict[str, dict[str, str]]
CASES: dict[str, tuple[tuple[str, ...], tuple[str, ...], Known]] = {
    "glioma_survival": (
        ("linear_all", "age_alone", "site_alone"),
        ("c_index", "c_index_within_site"),
        {
            "patient-kfold": {"linear_all": ".846 +- .030, within .756", "age_alone": ".769 with sex"},
            "preserved-site-kfold": {"linear_all": ".833 +- .041, within .752", "age_alone": ".758 with sex"},
        },
    ),
    "glioma_idh": (
        ("linear_expression", "site_alone"),
        ("accuracy", "auc"),
        {
            "patient-kfold": {"linear_expression": ".970 / .994"},
            "preserved-site-kfold": {"linear_expression": ".964 / .987"},
        },
    ),
    "glioma_grade": (
        ("linear_all", "linear_expression", "site_alone"),
        ("accuracy", "auc"),
        {
            "patient-kfold": {"linear_all": ".725 / .871"},
            "preserved-site-kfold": {"linear_all": ".700 / .862"},
        },
    ),
}


def everyone_trains(cohort: Path, folder: Path) -> Path:
    """The cohort's tables again, in hospitals that may train with a single patient."""
    folder.mkdir()
    for path in cohort.iterdir():
        (folder / path.name).symlink_to(path.resolve())
    (folder / DISCLOSURE_FILE).write_text(disclosure_toml(Disclosure(min_patients=1)), encoding="utf-8")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohort", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    configure_logs(level=50)
    print("| study | folds of | floor | first | second | SD | reached by others |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        cohort = everyone_trains(options.cohort, Path(scratch) / "cohort")
        for name, (floors, metrics, known) in CASES.items():
            for protocol, others in known.items():
                ready = make_ready(
                    read_study(STUDIES / f"{name}.toml"),
                    cohort=str(cohort),
                    split="tss",
                    settings=(f'split.protocol="{protocol}"',),
                    cache=Path(scratch) / "cache",
                    progress=lambda *_: None,
                )
                place = "own" if protocol == "patient-kfold" else "unseen"
                found: dict[str, list[list[Measured]]] = {floor: [] for floor in floors}
                for repeat in range(options.repeats):
                    folds = make_folds(ready.hospitals, of_fold(ready.study, repeat, 0), 1, None)
                    scored = [(fold, score_baselines(fold)) for fold in folds]
                    for floor in floors:
                        found[floor].append(
                            [measure_scores(scores[floor], fold)[place] for fold, scores in scored if floor in scores]
                        )
                for floor, repeats in found.items():
                    if not repeats[0]:
                        continue
                    values = average(repeats)
                    first, second = (values[metric].value for metric in metrics)
                    sd = values[metrics[0]].sd
                    print(
                        f"| {name} | {protocol} | {floor} | {first or 0:.3f} | {second or 0:.3f} | {sd or 0:.3f} | "
                        f"{others.get(floor, '')} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
