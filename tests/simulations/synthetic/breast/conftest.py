"""A small breast cohort, written once for all tests of it."""

from pathlib import Path

import pytest

from simulations.synthetic import BREAST, write_cohort
from simulations.synthetic.breast.hospitals import BreastHospital

SMALL = (
    BreastHospital("AA", 4, 0.5),
    BreastHospital("02", 3, slides=False),
    BreastHospital("CC", 3, expression=False),
)


@pytest.fixture(scope="session")
def breast_hospitals() -> tuple[BreastHospital, ...]:
    return SMALL


@pytest.fixture(scope="session")
def breast_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("breast") / "cohort"
    write_cohort(folder, kind=BREAST, seed=3, workers=1, hospitals=SMALL)
    return folder
