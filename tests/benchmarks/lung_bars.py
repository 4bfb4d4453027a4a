"""The bar of the lung cohort: federated penalised survival across 18 hospitals against pooled Cox regression.

Both are fitted on the training patients of the same folds and score the same test patients; every patient is tested
once a repeat. Two pooled Cox models stand beside the federation: the run's own floor, whose ridge is fixed, and one
whose ridge is chosen in every fold by five inner folds of its training patients, from the same inputs. "Within a
hospital" counts only pairs of patients of one hospital.

    python tests/benchmarks/lung_bars.py [--repeats 10]

With --inner no test patient is scored: settings of the study are compared on inner folds of the training patients.
Pooled training stands for the federation, since a full-batch step a round makes them one. What is a test patient in
one fold is a training patient in the others, so one setting chosen over all folds has seen everybody's outcome: these
are no test scores, and test scores of the chosen setting are a little too good. The inner Cox model is chosen fold by
fold.

    python tests/benchmarks/lung_bars.py --inner --try "training.learning_rate=0.3 training.rounds=60"
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.utils import concordance_index
from sklearn.model_selection import StratifiedKFold

from client.evaluation import predict, score_patients
from client.training import train_round
from server.rounds import learning_rate
from shared.cohort.patients import Patients
from shared.logs import configure_logs
from shared.metrics import interval, measure
from shared.study import Study, read_study
from shared.weights import new_model, trainable
from simulations.adapt import of_fold
from simulations.draws import FILE, read_draws
from simulations.fold import Fold, make_folds
from simulations.multiplicity import p_value
from simulations.ready import Ready, make_ready
from simulations.simulate import Options, simulate
from simulations.studies import least_of, study_of

STUDY = Path(__file__).parents[2] / "simulations" / "studies" / f"{study_of('lung')}.toml"
LEAST = least_of("lung")
BAR = -0.02
COX = "linear_clinical"
RIDGES = (0.01, 0.1, 1.0, 10.0)


def cox_index(train: Patients, test: Patients, ridge: float) -> float:
    """The c-index on `test` of lifelines' Cox model with a ridge; a missing value enters as its public centre."""
    frame = pd.DataFrame(train.clinical).add_prefix("x")
    frame["time"], frame["event"] = train.time, 1 - train.cens
    model = CoxPHFitter(penalizer=ridge).fit(frame, "time", "event")
    risk = model.predict_log_partial_hazard(pd.DataFrame(test.clinical).add_prefix("x"))
    return float(concordance_index(test.time, -risk, 1 - test.cens))


def inner_folds(train: Patients, seed: int) -> Iterator[tuple[Patients, Patients]]:
    """Five folds of training patients, deaths spread evenly."""
    splits = StratifiedKFold(5, shuffle=True, random_state=seed).split(np.zeros(len(train)), train.cens)
    return ((train.take(fit), train.take(score)) for fit, score in splits)


def everyone(fold: Fold, part: str) -> Patients:
    """Training or test patients of all hospitals."""
    return Patients.concatenate([getattr(fold, part)(site, None) for site in fold.training])


def chosen_cox(ready: Ready, repeats: int) -> np.ndarray:
    """The c-index (repeats, folds) of Cox models whose ridge inner folds have chosen."""
    found = []
    for repeat in range(repeats):
        row = []
        for number, fold in enumerate(make_folds(ready.hospitals, of_fold(ready.study, repeat, 0), LEAST, None)):
            train = everyone(fold, "train")
            parts = list(inner_folds(train, 10 * repeat + number))
            ridge = max(RIDGES, key=lambda r: np.mean([cox_index(fit, score, r) for fit, score in parts]))
            row.append(cox_index(train, everyone(fold, "test"), ridge))
        found.append(row)
    return np.array(found)


def inner_scores(settings: str, cache: Path, repeats: int) -> None:
    """One line of settings: the mean c-index over inner folds; of Cox models too for the study as written."""
    ready = prepared(cache, settings)
    folds = [
        (number, fold)
        for repeat in range(repeats)
        for number, fold in enumerate(make_folds(ready.hospitals, of_fold(ready.study, repeat, 0), LEAST, None))
    ]
    parts = [part for number, fold in folds for part in inner_folds(everyone(fold, "train"), number)]
    for ridge in () if settings else RIDGES:
        print(f"| Cox, ridge {ridge:g} | {np.mean([cox_index(*part, ridge) for part in parts]):.4f} |", flush=True)
    reached = np.mean([_index(ready.study, *part) for part in parts])
    print(f"| {settings or 'as written'} | {reached:.4f} |", flush=True)


def prepared(cache: Path, settings: str = "") -> Ready:
    """The cohort, prepared for the packaged study with `settings`, by spaces."""
    changes = settings.split()
    return make_ready(
        read_study(STUDY), cohort="lung", settings=changes, least=LEAST, cache=cache, progress=lambda *_: None
    )


def _index(study: Study, train: Patients, test: Patients) -> float:
    model = new_model(study)
    for number in range(1, study.training.rounds + 1):
        rate = learning_rate(study, number)
        train_round(model, trainable(model), train, study, learning_rate=rate, seed=number)
    return float(measure(score_patients(predict(model, test, study), test, study))["c_index"][0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--inner", action="store_true")
    parser.add_argument("--try", action="append", default=[""], dest="rows", help="settings of one row, by spaces")
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    options = parser.parse_args()
    configure_logs(level=40)
    if options.inner:
        print("| settings | inner c-index |\n|---|---|")
        for row in options.rows:
            inner_scores(row, options.cache, options.repeats)
        return
    with tempfile.TemporaryDirectory() as out:
        run = Options(
            study=read_study(STUDY),
            cohort="lung",
            min_site_patients=LEAST,
            arms=("federated", "pooled"),
            repeats=options.repeats,
            cache=options.cache,
            out=Path(out),
        )
        _, metrics = simulate(run, lambda *_: None, lambda _: None)
        draws = read_draws(Path(out) / FILE)
    print("| c-index | value | 95 % | SD of repeats | within a hospital |\n|---|---|---|---|---|")
    for name, scores in {**metrics["arms"], **metrics["baselines"]}.items():
        v, within = (scores["own"][metric] for metric in ("c_index", "c_index_within_site"))
        print(
            f"| {name} | {v['value']:.3f} | {v['low']:.3f} to {v['high']:.3f} | {v['sd'] or 0:.3f} | "
            f"{within['value']:.3f} |"
        )
    chosen = chosen_cox(prepared(options.cache), options.repeats)
    spread = chosen.mean(axis=1).std(ddof=1) if options.repeats > 1 else 0.0
    print(f"| Cox, ridge by inner folds | {chosen.mean():.3f} | | {spread:.3f} | |")
    federated, cox = (draws[name, "own", "c_index"] for name in ("federated", COX))
    low, high = interval(federated.draws - cox.draws)
    print(
        f"\nfederated - Cox {told(float((federated.points - cox.points).mean()))}, "
        f"95 % {low:+.3f} to {high:+.3f}, p {p_value(federated.draws - cox.draws):.3f}\n"
        f"federated - Cox, ridge by inner folds {told(float(federated.points.mean() - chosen.mean()))}"
    )


def told(difference: float) -> str:
    """A difference beside its bar."""
    return f"{difference:+.3f} (bar {BAR}){'' if difference >= BAR else ': missed'}"


if __name__ == "__main__":
    main()
