"""Six small hospitals with expression and blood in real files, prepared for the packaged study without slides."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import structlog

from shared.study import Study, read_study
from simulations.adapt import of_fold, override
from simulations.fold import make_folds
from simulations.ready import Ready, make_ready
from simulations.stresses.curve import Base
from simulations.stresses.options import Options
from simulations.stresses.runner import stress_curves
from simulations.synthetic import Hospital, write_cohort

HOSPITALS = (
    *(Hospital(code, 24, slides=False, missing_share=0.0) for code in ("AA", "AB", "AC", "AD")),
    Hospital("AE", 28, slides=False, missing_share=0.0),
    Hospital("UA", 12, slides=False, missing_share=0.0),
)


def quiet(what: str, done: int, total: int) -> None:
    """Nobody looks."""


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    """The command configures logging for its process, which here is that of all tests."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def study() -> Study:
    packaged = read_study(Path(str(files("simulations.studies").joinpath("stress.toml"))))
    return override(packaged, ("modalities.slides=false", "training.rounds=2"))


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stress") / "cohort"
    write_cohort(folder, seed=3, workers=1, hospitals=HOSPITALS)
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def ready(study: Study, cohort: Path, cache: Path) -> Ready:
    settings = Options(study=study, cohort=str(cohort)).settings
    return make_ready(study, cohort=str(cohort), settings=settings, cache=cache, progress=quiet)


@pytest.fixture(scope="session")
def base(ready: Ready, cohort: Path, cache: Path) -> Base:
    fold = make_folds(ready.hospitals, of_fold(ready.study, 0, 0), 20, None)[0]
    return Base(ready.hospitals, fold, cohort, cache, 1, quiet)


@pytest.fixture
def run(study: Study, cohort: Path, cache: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run curves on the small hospitals; the content of stress.json."""

    def curves(*names: str, **changes: Any) -> dict[str, Any]:
        options = Options(study=study, cohort=str(cohort), curves=names, cache=cache, workers=1)
        options = replace(options, **{"out": tmp_path / "out", **changes})
        return stress_curves(options, quiet, lambda line: None)[1]

    return curves
