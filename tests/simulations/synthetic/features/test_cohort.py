"""The cohort of features: the same bytes for a seed, patients that depend on nobody, files that `prepare` imports."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from client.prepare.preparation import prepare
from client.prepare.settings import PrepareSettings, store_folder
from shared.cohort.normalise import normal_scores
from shared.cohort.store import FeatureStore
from shared.cohort.tables import read_clinical
from shared.errors import CohortError
from shared.site import read_site
from shared.study import read_study
from simulations.adapt import adapt
from simulations.hospitals import split_cohort
from simulations.synthetic import FEATURES, feature_hospitals, write_cohort
from simulations.synthetic.features.bags import DIM, ENCODER, ENCODER_SHA256, PATCHES, draw_bag, draw_scanner
from simulations.synthetic.features.genes import GENES, draw_batch_shift, draw_genes
from simulations.synthetic.features.patients import draw_feature_patients

STUDY = Path(__file__).parents[4] / "simulations" / "studies" / "features_relapse.toml"
FEW = tuple(replace(hospital, patients=12) for hospital in feature_hospitals(12)[:2])


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features") / "cohort"
    write_cohort(folder, kind=FEATURES, seed=3, workers=1, hospitals=FEW)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_seed_gives_the_same_bytes_and_another_seed_others(cohort: Path, tmp_path: Path) -> None:
    for name, seed in (("again", 3), ("other", 4)):
        write_cohort(tmp_path / name, kind=FEATURES, seed=seed, workers=1, hospitals=FEW)
    assert content(tmp_path / "again") == content(cohort)
    other = content(tmp_path / "other")
    assert all(other[name] != data for name, data in content(cohort).items() if name.endswith(".h5") and name in other)


def test_a_hospital_left_out_changes_no_file_of_the_others(cohort: Path, tmp_path: Path) -> None:
    write_cohort(tmp_path / "one", kind=FEATURES, seed=3, workers=1, hospitals=FEW[:1])
    bags = {name: data for name, data in content(tmp_path / "one").items() if name.endswith(".h5")}
    assert bags
    assert bags.items() <= content(cohort).items()


def test_every_hospital_has_its_share_of_relapses(cohort: Path) -> None:
    clinical = read_clinical(cohort)
    counts = Counter(zip(clinical["site"], clinical["relapse"], strict=True))
    for hospital in FEW:
        assert counts[hospital.code, "yes"] == round(hospital.relapses * 12)
        assert counts[hospital.code, "yes"] + counts[hospital.code, "no"] == 12


def test_a_bag_is_what_mmfed_writes(cohort: Path) -> None:
    with h5py.File(next((cohort / "features" / "slides").iterdir())) as file:
        assert (file["features"].shape, file["features"].dtype) == ((PATCHES, DIM), np.float32)
        assert len(np.unique(file["coords"][:], axis=0)) == PATCHES
        assert (file.attrs["encoder"], file.attrs["encoder_sha256"]) == (ENCODER, ENCODER_SHA256)


def test_hospitals_import_the_features_without_a_word_of_complaint(cohort: Path, tmp_path: Path) -> None:
    study, _ = adapt(read_study(STUDY), cohort, synthetic=True)
    for hospital in split_cohort(cohort, None, tmp_path / "cache"):
        site = read_site(hospital.site_file)
        assert site.features is not None
        assert site.features.encoder == ENCODER
        settings = PrepareSettings.of(study)
        report = prepare(site, settings)
        assert {row.state for row in report.rows} <= {"used"}, report.rows[:3]
        assert len(FeatureStore.open(store_folder(site, settings)).patients) == 12


def test_an_encoder_file_with_faults_is_refused(cohort: Path, tmp_path: Path) -> None:
    write_cohort(tmp_path / "bad", kind=FEATURES, seed=3, workers=1, hospitals=FEW)
    (tmp_path / "bad" / "features" / "encoder.toml").write_text('encoder = "x"\n')
    with pytest.raises(CohortError, match="encoder_sha256: expected the SHA-256"):
        split_cohort(tmp_path / "bad", None, tmp_path / "cache")


def test_all_hospitals_together_know_more_than_one_alone() -> None:
    """A linear model on mean patches and ranks of genes, fitted on 70 % of 200 patients a hospital."""
    hospitals, x, y, site = feature_hospitals(200), [], [], []
    for number, hospital in enumerate(hospitals):
        scanner, shift = draw_scanner(hospital.code, 7), draw_batch_shift(hospital.code, 7)
        for patient in draw_feature_patients(hospital, 7):
            genes = draw_genes(patient, shift, 7).astype(np.float32)[None]
            ranks = normal_scores(genes, np.ones((1, len(GENES)), dtype=bool), 5.0)[0]
            x.append(np.concatenate([4 * draw_bag(patient, scanner, 7).mean(axis=0), ranks]))
            y.append(patient.relapse == "yes")
            site.append(number)
    features, relapse, where = np.array(x), np.array(y), np.array(site)
    test = np.random.default_rng(0).random(len(y)) < 0.3

    def auc(train: np.ndarray, number: int) -> float:
        model = LogisticRegression(C=0.03, max_iter=300).fit(features[train], relapse[train])
        scored = test & (where == number)
        return float(roc_auc_score(relapse[scored], model.decision_function(features[scored])))

    together = np.mean([auc(~test, number) for number in range(8)])
    alone = np.mean([auc(~test & (where == number), number) for number in range(8)])
    assert 0.88 <= together <= 0.95
    assert together - alone >= 0.03, f"together {together:.3f}, alone {alone:.3f}"
