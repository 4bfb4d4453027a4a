"""Does a hospital with a single modality take part usefully? It is left out, and both models are compared.

    python tests/benchmarks/single_modality_site.py [--site SA] [--repeats 3] [--cache cache]

The synthetic glioma cohort, default study. One hospital keeps the files of one modality only; a federation is trained
with it and one without it, from the same start; a third model is trained by that hospital alone. They score the
patients of hospitals that never train, with all they have and with that modality only, and the hospital's own test
patients. Differences are paired by patient; values are means over repeats of the split.
"""

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from client.evaluation import predict, score_patients
from client.prepare.preparation import prepare
from client.prepare.settings import PrepareSettings
from shared.logs import configure_logs
from shared.metrics import Scored, bootstrap_weights, measure
from shared.site import read_site
from shared.study import Study, read_study
from simulations.adapt import of_fold
from simulations.arms import Model, restored, train_arm
from simulations.fold import Fold, make_folds
from simulations.hospitals import Hospital
from simulations.ready import Ready, make_ready

STUDY = Path(__file__).parents[2] / "simulations" / "studies" / "default.toml"
FILES = {"slides": ("slides*", "features"), "expression": ("expression*",), "blood": ("blood*",)}
DRAWS = 1000


def with_one_modality(hospital: Hospital, kept: str, study: Study, folder: Path) -> Hospital:
    """A copy of the hospital that has the files of one modality only, prepared."""
    copy = Hospital(hospital.id, folder / hospital.id)
    data = hospital.site_file.parent
    shutil.copytree(data, copy.site_file.parent, symlinks=True, ignore=shutil.ignore_patterns("state"))
    for modality, patterns in FILES.items():
        for pattern in patterns if modality != kept else ():
            for path in (copy.site_file.parent / "data").glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    prepare(read_site(copy.site_file), PrepareSettings.of(study))
    return copy


def scored(fold: Fold, model: Model, site: str, kept: str) -> list[Scored]:
    """Unseen patients, the same by the kept modality alone, and the hospital's own test patients."""
    module = restored(fold.study, model)
    unseen, own = fold.unseen(model.statistics), fold.test(site, model.statistics)
    assert unseen is not None
    groups = [unseen, unseen.take(unseen.present[:, unseen.modalities.index(kept)] > 0).only([kept]), own]
    return [score_patients(predict(module, group, fold.study), group, fold.study) for group in groups]


def compared(ready: Ready, site: str, kept: str, repeats: int) -> dict[str, np.ndarray]:
    """Where -> AUC of the hospital alone, without it and with it: (1 + DRAWS, 3), the value, then bootstrap draws."""
    places = ("unseen patients", f"unseen patients, {kept} only", f"own test patients of {site}")
    found: dict[str, list[np.ndarray]] = {place: [] for place in places}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        poor = with_one_modality(next(h for h in ready.hospitals if h.id == site), kept, ready.study, folder)
        hospitals = [poor if h.id == site else h for h in ready.hospitals]
        for repeat in range(repeats):
            (fold,) = make_folds(hospitals, of_fold(ready.study, repeat, 0), 20, None)
            alone = replace(fold, training=(site,))
            models = [train_arm("local", alone, hospitals, folder).models[site]]
            for part in (replace(fold, training=tuple(s for s in fold.training if s != site)), fold):
                runs = folder / f"runs-{repeat}-{len(part.training)}"
                models.append(train_arm("federated", part, hospitals, runs).models[""])
            for where, group in zip(
                places, zip(*(scored(fold, m, site, kept) for m in models), strict=True), strict=True
            ):
                weights = bootstrap_weights(len(group[0]), DRAWS, 0)  # the same unseen patients in every repeat
                columns = [np.append(measure(s)["auc"], measure(s, weights)["auc"]) for s in group]
                found[where].append(np.stack(columns, axis=1))
    return {where: np.mean(parts, axis=0) for where, parts in found.items()}


def difference(values: np.ndarray, one: int, other: int) -> str:
    gain, draws = values[0, one] - values[0, other], values[1:, one] - values[1:, other]
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", default="SA")
    parser.add_argument("--keep", nargs="+", choices=FILES, default=["slides", "expression"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    options = parser.parse_args()
    configure_logs(level=40)
    ready = make_ready(read_study(STUDY), cohort="synthetic", cache=options.cache, progress=lambda *_: None)
    print("| it has only | AUC of | it alone | without it | with it | with - without | with - alone |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for kept in options.keep:
        for where, values in compared(ready, options.site, kept, options.repeats).items():
            cells = [f"{value:.3f}" for value in values[0]] + [difference(values, 2, 1), difference(values, 2, 0)]
            print(f"| {kept} | {where} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
