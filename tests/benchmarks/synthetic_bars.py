"""The bars of the synthetic default cohort over several cohort seeds.

    python tests/benchmarks/synthetic_bars.py [--seeds 0 1 2 3 4]

Per seed: federated - mean local on unseen patients with its paired 95 % interval, federated - pooled, and the fusion
model beside models of a single modality (trained on pooled patients, which favours them).
"""

import argparse
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.load import load_patients
from shared.cohort.store import FeatureStore
from shared.errors import Refused
from shared.logs import configure_logs
from shared.site import read_site
from shared.study import read_study
from simulations.adapt import adapt
from simulations.arms import train_arm
from simulations.fold import make_folds
from simulations.hospitals import split_cohort
from simulations.scores import measure_scores, score_arm
from simulations.simulate import Options, simulate
from simulations.synthetic import DEFAULT_HOSPITALS, cohort_digest

STUDY = Path(__file__).parents[2] / "simulations" / "studies" / "default.toml"


def single(study, hospitals, modality: str) -> float:
    """AUC on unseen patients of a pooled model that has only this modality."""
    stores = {h.id: store_folder(read_site(h.site_file), PrepareSettings.of(study)) for h in hospitals}
    other = dict.fromkeys(name for name in study.modalities.names if name != modality)
    alone = study.model_copy(update={"modalities": study.modalities.model_copy(update=other)})
    fold = make_folds(hospitals, study, 20, None)[0]
    sites = {}
    for hospital in hospitals:
        with suppress(Refused):  # a hospital without this modality
            sites[hospital.id] = load_patients(FeatureStore.open(stores[hospital.id]), alone, "log2")
    with tempfile.TemporaryDirectory() as folder:
        part = replace(fold, study=alone, sites=sites, training=tuple(s for s in fold.training if s in sites))
        scores = score_arm(part, train_arm("pooled", part, hospitals, Path(folder)))
    return float(measure_scores(scores, part)["unseen"].point["auc"][0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    options = parser.parse_args()
    configure_logs(level=40)
    print("| cohort seed | federated | pooled | local | federated - local [95 %] | federated - pooled | single |")
    print("|---|---|---|---|---|---|---|")
    for seed in options.seeds:
        study = read_study(STUDY).model_copy(update={"seed": seed})
        with tempfile.TemporaryDirectory() as out:
            run = Options(study=study, cache=options.cache, out=Path(out))
            _, metrics = simulate(run, lambda *_: None, lambda _: None)
        cohort = options.cache / "cohorts" / f"synthetic-{cohort_digest(seed, DEFAULT_HOSPITALS)}"
        resolved, _ = adapt(study, cohort, synthetic=True)
        hospitals = split_cohort(cohort, None, options.cache / "hospitals")
        auc = {arm: metrics["arms"][arm]["unseen"]["auc"]["value"] for arm in metrics["arms"]}
        gap = {c["b"]: c for c in metrics["comparisons"] if c["where"] == "unseen" and c["metric"] == "auc"}
        alone = {name: round(single(resolved, hospitals, name), 3) for name in resolved.modalities.names}
        local, pooled = gap["local"], gap["pooled"]
        print(
            f"| {seed} | {auc['federated']:.3f} | {auc['pooled']:.3f} | {auc['local']:.3f} | {local['difference']:.3f} "
            f"[{local['low']:.3f}, {local['high']:.3f}] | {pooled['difference']:+.3f} | {alone} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
