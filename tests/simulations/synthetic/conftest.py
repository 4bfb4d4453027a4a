"""A small cohort, written once for all tests of the generator."""

from pathlib import Path

import pytest

from simulations.synthetic import Hospital, write_cohort

SMALL = (
    Hospital("AA", 3),
    Hospital("02", 3, (0.5, 0.5, 0.0), slides=False),
    Hospital("CC", 3, (0.0, 0.25, 0.75), blood=False),
)


@pytest.fixture(scope="session")
def hospitals() -> tuple[Hospital, ...]:
    return SMALL


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "cohort"
    write_cohort(folder, seed=3, workers=1, hospitals=SMALL)
    return folder
