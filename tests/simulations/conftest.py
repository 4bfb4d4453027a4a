"""Small cohorts of tables, split into hospitals and prepared, shared by the tests of the simulation."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import structlog

from client.prepare.preparation import prepare
from client.prepare.settings import PrepareSettings
from shared.site import read_site
from shared.study import Study, parse_study
from simulations.adapt import adapt, override
from simulations.fold import Fold, make_folds
from simulations.hospitals import Hospital, split_cohort
from simulations.simulate import Options, simulate

TINY = {"02": 25, "06": 24, "HT": 26, "QQ": 7}  # three that train, one that is unseen
GRADES = ("G2", "G3", "G4")
CONTENT: dict[str, Any] = {
    "schema": 1,
    "name": "tiny",
    "task": {"kind": "classification", "column": "grade", "classes": list(GRADES), "ordered": True},
    "model": {"architecture": "linear"},
    "modalities": {"expression": {"genes": "cohort"}, "clinical": {}},
    "training": {"rounds": 3, "optimizer": "sgd", "learning_rate": 0.05, "weight_decay": 0.0, "modality_dropout": 0.0},
}


def write_tables(folder: Path, sites: Mapping[str, int], *, seed: int = 0, genes: int = 6) -> Path:
    """A cohort folder of made-up patients with TCGA barcodes: six z-scored genes follow the grade, so does survival."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    cases = [f"TCGA-{site}-{i:04d}" for site, n in sites.items() for i in range(n)]
    grade = rng.integers(3, size=len(cases))
    months = rng.exponential(40.0 / (1 + grade)) + 0.5
    clinical = pd.DataFrame(
        {
            "case_id": cases,
            "age_at_diagnosis": (45 + 6 * grade + rng.normal(0, 8, len(cases))).round(1),
            "sex": np.where(rng.random(len(cases)) < 0.5, "male", "female"),
            "os_months": months.round(2),
            "os_event": (rng.random(len(cases)) < 0.7).astype(int),
            "grade": [GRADES[g] for g in grade],
        }
    )
    clinical.to_csv(folder / "clinical.tsv", sep="\t", index=False)
    values = np.linspace(-1, 1, genes)[:, None] * (grade - 1) + rng.normal(0, 0.8, (genes, len(cases)))
    table = pd.DataFrame(values.round(3), index=[f"GENE{i}" for i in range(genes)], columns=cases)
    table.to_csv(folder / "expression.tsv", sep="\t", index_label="gene_symbol")
    return folder


@dataclass(frozen=True)
class Prepared:
    """A study that fits its cohort, and the hospitals with their feature stores."""

    study: Study
    hospitals: list[Hospital]

    def folds(self, least: int = 20, folds: int | None = None) -> list[Fold]:
        """The folds of repeat 0."""
        return make_folds(self.hospitals, self.study, least, folds)


@dataclass(frozen=True)
class Run:
    """A finished simulation."""

    folder: Path
    metrics: dict[str, Any]
    cohort: Path
    cache: Path


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    """The command configures logging for its process, which here is that of all tests."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def make_cohort() -> Callable[..., Path]:
    return write_tables


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Study]:
    """The tiny study, with `--set` overrides."""
    return lambda *settings: override(parse_study(CONTENT), settings)


@pytest.fixture(scope="session")
def make_prepared() -> Callable[[Path, Study, Path], Prepared]:
    """Adapt a study to a cohort, split the cohort under a cache folder, and prepare every hospital."""

    def make(cohort: Path, study: Study, cache: Path, split: str | None = None) -> Prepared:
        adapted, _ = adapt(study, cohort, synthetic=False)
        hospitals = split_cohort(cohort, split, cache)
        for hospital in hospitals:
            prepare(read_site(hospital.site_file), PrepareSettings.of(adapted))
        return Prepared(adapted, hospitals)

    return make


@pytest.fixture(scope="session")
def tiny_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tables(tmp_path_factory.mktemp("tiny") / "cohort", TINY)


@pytest.fixture(scope="session")
def tiny(
    tiny_cohort: Path,
    make_study: Callable[..., Study],
    make_prepared: Callable[..., Prepared],
    tmp_path_factory: pytest.TempPathFactory,
) -> Prepared:
    """The tiny cohort, prepared for expression only, one full batch a round."""
    study = make_study("training.batch_size=0", "training.rounds=4")
    only = study.modalities.model_copy(update={"clinical": None})
    return make_prepared(tiny_cohort, study.model_copy(update={"modalities": only}), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tiny_run(tiny_cohort: Path, make_study: Callable[..., Study], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All arms on the tiny cohort, two repeats of three rounds."""
    root = tmp_path_factory.mktemp("run")
    options = Options(
        make_study(), cohort=str(tiny_cohort), repeats=2, out=root / "out", cache=root / "cache", command="a command"
    )
    folder, metrics = simulate(options, lambda what, done, total: None, lambda line: None)
    return Run(folder, metrics, tiny_cohort, root / "cache")
