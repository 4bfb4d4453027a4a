"""Every aggregation strategy on the synthetic glioma cohort: AUC with 95 % intervals, and seconds a round.

    python tests/benchmarks/strategies_table.py [--seed 0] [--repeats 3] [--cache cache]
    python tests/benchmarks/strategies_table.py --tune --seed 5

The study is the default one (grade of glioma from slides, expression and blood). SCAFFOLD wants plain SGD, so FedAvg is
shown with it too. `--tune` is how the rates in RATES were chosen: on cohort seed 5, which the table does not use.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shared.logs import configure_logs
from shared.strategy_names import STRATEGIES
from shared.study import read_study
from simulations.adapt import of_fold, override
from simulations.arms import train_arm
from simulations.fold import make_folds
from simulations.ready import Ready, make_ready
from simulations.scores import measure_scores, score_arm

STUDY = Path(__file__).parents[2] / "simulations" / "studies" / "default.toml"
SGD = ("training.optimizer=sgd", "training.learning_rate=0.1")
RATES: dict[str, tuple[str, ...]] = {"scaffold": SGD}
RATE = "federation.strategy_options."
CANDIDATES: dict[str, list[tuple[str, ...]]] = {
    "fedavg": [(), *(("training.optimizer=sgd", f"training.learning_rate={rate}") for rate in (0.1, 0.3))],
    "scaffold": [("training.optimizer=sgd", f"training.learning_rate={rate}") for rate in (0.1, 0.3)],
    "fedavgm": [
        (f"{RATE}server_momentum={momentum}", f"{RATE}server_learning_rate={rate}")
        for momentum, rate in ((0.9, 1.0), (0.9, 0.3), (0.5, 1.0))
    ],
    "fedadam": [(f"{RATE}eta={eta}",) for eta in (0.1, 0.01, 0.003)],
    "fedyogi": [(f"{RATE}eta={eta}",) for eta in (0.1, 0.01, 0.003)],
}
PLACES = ("own", "unseen")


def prepared(seed: int, cache: Path) -> Ready:
    study = read_study(STUDY).model_copy(update={"seed": seed})
    return make_ready(study, cohort="synthetic", cache=cache, progress=lambda *_: None)


def measured(ready: Ready, settings: Sequence[str], repeats: int) -> dict[str, list[float]]:
    """Mean over repeats of AUC and the ends of its interval, own and unseen; median seconds a round."""
    values: dict[str, list[list[float]]] = {place: [] for place in PLACES}
    seconds: list[float] = []
    study = override(ready.study, settings)
    for repeat in range(repeats):
        (fold,) = make_folds(ready.hospitals, of_fold(study, repeat, 0), 20, None)
        with tempfile.TemporaryDirectory() as folder:
            trained = train_arm("federated", fold, ready.hospitals, Path(folder))
        found = measure_scores(score_arm(fold, trained), fold)
        for place in PLACES:
            point, draws = found[place].point["auc"][0], found[place].draws["auc"]
            values[place].append([float(point), *np.nanpercentile(draws, [2.5, 97.5]).tolist()])
        seconds += [record["seconds"] for record in trained.rounds]
    return {p: np.mean(v, axis=0).tolist() for p, v in values.items()} | {"seconds": [float(np.median(seconds))]}


def row(name: str, found: dict[str, list[float]]) -> str:
    cells = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in (found[place] for place in PLACES)]
    return f"| {name} | {' | '.join(cells)} | {found['seconds'][0]:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    parser.add_argument("--only", choices=STRATEGIES)
    parser.add_argument("--tune", action="store_true")
    options = parser.parse_args()
    configure_logs(level=40)
    print("| strategy | own AUC [95 %] | unseen AUC [95 %] | seconds a round |\n|---|---|---|---|", flush=True)
    cases = [(name, RATES.get(name, ())) for name in STRATEGIES] + [("fedavg", SGD)]
    if options.tune:
        cases = [(name, settings) for name, tried in CANDIDATES.items() for settings in tried]
    ready = {seed: prepared(seed, options.cache) for seed in options.seed}
    for strategy, settings in cases:
        if options.only not in (None, strategy):
            continue
        parts = [measured(r, (f"federation.strategy={strategy}", *settings), options.repeats) for r in ready.values()]
        shown = " ".join(setting.removeprefix(RATE).removeprefix("training.") for setting in settings)
        print(
            row(f"{strategy} {shown}".strip(), {k: np.mean([p[k] for p in parts], axis=0) for k in parts[0]}),
            flush=True,
        )


if __name__ == "__main__":
    main()
