"""The bars of the TCGA glioma cohort: means of several repeats, beside what they must reach.

"own - floor" compares the federated model with the best linear floor refitted in the same run on the same folds and
inputs: logistic regression or ridge Cox on the pooled training patients. "left out" is leave-one-site-out: the mean
over the hospitals, each unseen once.

python tests/benchmarks/tcga_bars.py --cohort ../shared/data/tcga_gbmlgg [--repeats 5] [--only idh-linear]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from shared.logs import configure_logs
from shared.study import read_study
from simulations.simulate import Options, simulate

STUDIES = Path(__file__).parents[2] / "simulations" / "studies"
IDH_LINEAR = (
    "model.architecture=linear",
    "training.optimizer=sgd",
    "training.learning_rate=0.03",
    "training.weight_decay=1e-3",
)
Score = Callable[[str, str, str], float]


def idh(own: float, unseen: float) -> Callable[[Score], list[tuple[str, float, float]]]:
    def bars(at: Score) -> list[tuple[str, float, float]]:
        fed = {place: at("federated", place, "accuracy") for place in ("own", "own_site_mean", "unseen")}
        return [
            ("own accuracy", fed["own"], own),
            ("unseen accuracy", fed["unseen"], unseen),
            ("own - local", fed["own_site_mean"] - at("local", "own_site_mean", "accuracy"), 0.03),
            ("unseen - local", fed["unseen"] - at("local", "unseen", "accuracy"), 0.10),
            ("own - pooled", fed["own"] - at("pooled", "own", "accuracy"), -0.04),
            ("unseen - pooled", fed["unseen"] - at("pooled", "unseen", "accuracy"), -0.04),
        ]

    return bars


def survival(at: Score) -> list[tuple[str, float, float]]:
    own, unseen = at("federated", "own", "c_index"), at("federated", "unseen", "c_index")
    within = at("federated", "own", "c_index_within_site")
    return [
        ("own c-index", own, 0.81),
        ("unseen c-index", unseen, 0.78),
        ("own - age alone", own - at("age_alone", "own", "c_index"), 0.04),
        ("unseen - age alone", unseen - at("age_alone", "unseen", "c_index"), 0.04),
        ("unseen - local", unseen - at("local", "unseen", "c_index"), 0.05),
        ("within site - local", within - at("local", "own", "c_index_within_site"), -0.02),
        ("own - pooled", own - at("pooled", "own", "c_index"), -0.02),
        ("unseen - pooled", unseen - at("pooled", "unseen", "c_index"), -0.03),
    ]


def survival_default(at: Score) -> list[tuple[str, float, float]]:
    return [("own c-index", at("federated", "own", "c_index"), 0.80)]


def grade(at: Score) -> list[tuple[str, float, float]]:
    gain = at("federated", "unseen", "accuracy") - at("local", "unseen", "accuracy")
    return [("unseen - local", gain, 0.15)]


def left_out(metric: str, bar: float) -> Callable[[Score], list[tuple[str, float, float]]]:
    """Every hospital unseen once: what federating costs against pooling, for people of another hospital."""

    def bars(at: Score) -> list[tuple[str, float, float]]:
        found = {arm: at(arm, "unseen", metric) for arm in ("federated", "pooled", "local", "site_alone")}
        name = f"left out {metric}"
        return [
            (f"{name} - pooled", found["federated"] - found["pooled"], bar),
            (f"{name} - local", found["federated"] - found["local"], 0.0),
            (f"{name} - hospital alone", found["federated"] - found["site_alone"], 0.0),
        ]

    return bars


LEFT_OUT = "split.protocol=leave-one-site-out"
CASES: dict[str, tuple[str, tuple[str, ...], Callable[[Score], list[tuple[str, float, float]]]]] = {
    "idh-linear": ("glioma_idh.toml", IDH_LINEAR, idh(0.94, 0.88)),
    "idh-default": ("glioma_idh.toml", (), idh(0.93, 0.87)),
    "survival-linear": ("glioma_survival.toml", (), survival),
    "survival-default": ("glioma_survival_s1.toml", (), survival_default),
    "grade": ("glioma_grade.toml", (), grade),
    "survival-left-out": ("glioma_survival.toml", (LEFT_OUT,), left_out("c_index", -0.02)),
    "idh-left-out": ("glioma_idh.toml", (*IDH_LINEAR, LEFT_OUT), left_out("accuracy", -0.03)),
    "grade-left-out": ("glioma_grade.toml", (LEFT_OUT,), left_out("accuracy", -0.03)),
}


def against_floor(metrics: dict[str, Any], at: Score) -> list[tuple[str, float, float]]:
    """The federated model and the pooled one less the best linear floor, on own test patients."""
    linear = [name for name in metrics["baselines"] if name.startswith("linear_")]
    rows = []
    for metric in ("c_index",) if metrics["study"]["task"] == "survival" else ("accuracy", "auc"):
        floor = max(at(name, "own", metric) for name in linear)
        rows += [
            (f"{arm} own {metric} - floor", at(arm, "own", metric) - floor, -0.01) for arm in ("federated", "pooled")
        ]
    return rows


def value(everything: dict[str, Any], who: str, place: str, metric: str) -> float:
    """The mean over repeats of one metric of an arm or a floor."""
    return float(everything[who][place][metric]["value"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohort", required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    parser.add_argument("--only", choices=CASES, nargs="+")
    options = parser.parse_args()
    configure_logs(level=40)
    print("| case | figure | reached | bar | |\n|---|---|---|---|---|")
    for name, (study, settings, bars) in CASES.items():
        if options.only and name not in options.only:
            continue
        wall, used = time.perf_counter(), time.process_time()
        with tempfile.TemporaryDirectory() as out:
            run = Options(
                study=read_study(STUDIES / study),
                settings=settings,
                cohort=options.cohort,
                split="tss",
                repeats=options.repeats,
                cache=options.cache,
                out=Path(out),
            )
            _, metrics = simulate(run, lambda *_: None, lambda _: None)
        wall, used = time.perf_counter() - wall, time.process_time() - used
        print(f"| {name} | seconds, of which of a core | {wall:.0f}, {used:.0f} | | |")
        everything: dict[str, Any] = {**metrics["arms"], **metrics["baselines"]}
        at = partial(value, everything)
        for figure, reached, bar in [*bars(at), *against_floor(metrics, at)]:
            print(
                f"| {name} | {figure} | {reached:.3f} | {bar:.3f} | {'' if reached >= bar else 'missed'} |", flush=True
            )


if __name__ == "__main__":
    main()
