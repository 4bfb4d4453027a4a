"""The bar of the lung cohort: federated penalised survival across 18 hospitals against pooled ridge Cox of lifelines.

Both are fitted on the training patients of the same folds and score the same test patients; every patient is tested
once a repeat. Settings are the packaged study's.

python tests/benchmarks/lung_bars.py [--repeats 10]
"""

import argparse
import tempfile
from pathlib import Path

from shared.logs import configure_logs
from shared.study import read_study
from simulations.draws import FILE, read_draws
from simulations.multiplicity import p_value
from simulations.simulate import Options, simulate
from simulations.studies import least_of, study_of

STUDIES = Path(__file__).parents[2] / "simulations" / "studies"
BAR = -0.02
COX = "linear_clinical"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    options = parser.parse_args()
    configure_logs(level=40)
    with tempfile.TemporaryDirectory() as out:
        run = Options(
            study=read_study(STUDIES / f"{study_of('lung')}.toml"),
            cohort="lung",
            min_site_patients=least_of("lung"),
            arms=("federated", "pooled"),
            repeats=options.repeats,
            cache=options.cache,
            out=Path(out),
        )
        _, metrics = simulate(run, lambda *_: None, lambda _: None)
        draws = read_draws(Path(out) / FILE)
    print("| c-index | value | 95 % | SD of repeats |\n|---|---|---|---|")
    for name, scores in {**metrics["arms"], **metrics["baselines"]}.items():
        v = scores["own"]["c_index"]
        print(f"| {name} | {v['value']:.3f} | {v['low']:.3f} to {v['high']:.3f} | {v['sd'] or 0:.3f} |")
    federated, cox = (draws[name, "own", "c_index"] for name in ("federated", COX))
    difference = float((federated.points - cox.points).mean())
    verdict = "" if difference >= BAR else ": missed"
    p = p_value(federated.draws - cox.draws)
    print(f"\nfederated - pooled Cox {difference:+.3f} (bar {BAR}, p of no difference {p:.3f}){verdict}")


if __name__ == "__main__":
    main()
