"""The linear floors of the glioma tables over all 35 hospitals, beside what others measured on the same tables.

Five folds of patients, and five of whole hospitals (simulations/preserved_sites.py): everybody is tested once a
repeat by a model of everybody else. Nothing is fitted on test patients, but the tables came z-scored over everybody.
"SD" is that of folds, which is what "+-" of the others means too; where they state none, ours says how far a mean of
five folds may lie apart. A figure is reproduced when it is no further below than that. `site_alone` is what knowing
the hospital would reach.

python tests/benchmarks/data_floors.py --cohort ../shared/data/tcga_gbmlgg [--repeats 3] [--forests]
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from shared.logs import configure_logs
from shared.study import Study, read_study
from simulations.adapt import of_fold
from simulations.averages import points_of
from simulations.baselines import score_baselines
from simulations.fold import Fold, load_sites, preserved_folds
from simulations.hospitals import Hospital
from simulations.ready import make_ready
from simulations.scores import Measured, measure_scores

STUDIES = Path(__file__).parents[2] / "simulations" / "studies"
FOLDS_OF = ("patients", "hospitals")
SURVIVAL = ("c_index", "c_index_within_site")
CLASSES = ("accuracy", "auc")
GROUPS = 'task.groups={ OAST="OA", AOAST="OA", AASTR="A", ASTR="A" }'
HISTOLOGY = ("task.column=oncotree_code", GROUPS, 'task.classes=["OA", "A", "ODG", "GBM"]')
ALL = (
    'modalities.expression.aux=["mutations", "copy_number"]',
    'modalities.clinical={ columns=["age_at_diagnosis", "sex"] }',
)
Pair = tuple[float | None, float | None]  # the two metrics, as others reached them
CASES: dict[str, tuple[str, tuple[str, ...], tuple[str, str], dict[str, dict[str, Pair]]]] = {
    "survival": (
        "glioma_survival",
        (),
        SURVIVAL,
        {
            "linear_all": {"patients": (0.846, 0.756), "hospitals": (0.833, 0.752)},
            "linear_clinical": {"patients": (0.769, 0.706), "hospitals": (0.758, 0.709)},  # age and sex
            "age_alone": {},
        },
    ),
    "grade": (
        "glioma_grade",
        ALL,
        CLASSES,
        {
            "linear_all": {"patients": (0.725, 0.871), "hospitals": (0.700, 0.862)},
            "linear_expression": {"patients": (0.725, 0.871), "hospitals": (0.700, 0.862)},
        },
    ),
    "idh-codel": (
        "glioma_idh",
        (*ALL, "modalities.slides=false", "model.architecture=linear"),
        CLASSES,
        {
            "linear_all": {"patients": (0.970, 0.994), "hospitals": (0.964, 0.987)},
            "linear_expression": {"patients": (0.970, 0.994), "hospitals": (0.964, 0.987)},
        },
    ),
    "histology": (
        "glioma_grade",
        (*HISTOLOGY, *ALL),
        CLASSES,
        {
            "linear_all": {"patients": (0.617, 0.842), "hospitals": (0.581, 0.828)},
            "linear_expression": {"patients": (0.617, 0.842), "hospitals": (0.581, 0.828)},
        },
    ),
}
SPREAD = {("survival", "patients"): 0.030, ("survival", "hospitals"): 0.041}
"""The SD that others state, of the first metric."""


def folds_of(what: str, study: Study, hospitals: Sequence[Hospital]) -> list[Fold]:
    """Five folds in which everybody who is not tested trains, however small the hospital is."""
    parts = [study.model_copy(update={"split": study.split.model_copy(update={"fold": k})}) for k in range(5)]
    if what == "patients":
        tables = [load_sites(hospitals, part)[0] for part in parts]
        tests = [{site: data.test for site, data in table.items()} for table in tables]
    else:
        table, _ = load_sites(hospitals, study)
        tables = [table] * len(parts)
        left_out = preserved_folds(study, table)
        tests = [{site: np.full(len(table[site].patients), site in out) for site in table} for out in left_out]
    return [
        Fold(part, {site: replace(data, test=test[site], min_patients=1) for site, data in table.items()}, tuple(table))
        for part, table, test in zip(parts, tables, tests, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohort", required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=CASES, nargs="+")
    parser.add_argument("--forests", action="store_true")
    parser.add_argument("--cache", type=Path)
    options = parser.parse_args()
    configure_logs(level=50)
    print("| task | folds of | floor | first metric | SD | of others | second | of others | |\n|" + "---|" * 9)
    with tempfile.TemporaryDirectory() as scratch:
        for name, (study, settings, metrics, known) in CASES.items():
            if options.only and name not in options.only:
                continue
            ready = make_ready(
                read_study(STUDIES / f"{study}.toml"),
                cohort=options.cohort,
                split="tss",
                settings=('split.protocol="patient-kfold"', *settings),
                cache=options.cache or Path(scratch),
                progress=lambda *_: None,
            )
            for what in FOLDS_OF:
                found: dict[str, list[list[Measured]]] = {}
                for repeat in range(options.repeats):
                    for fold in folds_of(what, of_fold(ready.study, repeat, 0), ready.hospitals):
                        for floor, scores in score_baselines(fold, forests=options.forests).items():
                            repeats = found.setdefault(floor, [[] for _ in range(options.repeats)])
                            repeats[repeat].append(measure_scores(scores, fold)["own"])
                for floor, repeats in found.items():
                    if floor in known or floor == "site_alone" or "forest" in floor:
                        others = known.get(floor, {}).get(what, (None, None))
                        print(row(name, what, floor, metrics, repeats, others), flush=True)


def row(name: str, what: str, floor: str, metrics: tuple[str, str], repeats: list[list[Measured]], others: Pair) -> str:
    """One line of the table."""
    means = [float(np.nanmean(points_of(repeats, metric))) for metric in metrics]
    folds = np.array([[fold.point[metrics[0]][0] for fold in repeat] for repeat in repeats])
    sd = float(np.nanstd(folds, axis=1, ddof=1).mean())
    told = [f"{value:.3f}" if value is not None else "" for value in others]
    below = others[0] is not None and means[0] < others[0] - SPREAD.get((name, what), sd)
    return (
        f"| {name} | {what} | {floor} | {means[0]:.3f} | {sd:.3f} | {told[0]} | {means[1]:.3f} | {told[1]} | "
        f"{'missed' if below else ''} |"
    )


if __name__ == "__main__":
    main()
