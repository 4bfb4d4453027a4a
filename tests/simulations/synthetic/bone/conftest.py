"""A small bone cohort, written once for all tests of it."""

from pathlib import Path

import pytest

from simulations.synthetic import BONE, write_cohort
from simulations.synthetic.bone.hospitals import BoneHospital

SMALL = (
    BoneHospital("AA", 3),
    BoneHospital("02", 3, (0.5, 0.5, 0.0), slides=False, images="monochrome1"),
    BoneHospital("CC", 3, (0.0, 0.25, 0.75), blood=False, images="monochrome2", boxes=False),
    BoneHospital("DD", 2, imaging=False),
)


@pytest.fixture(scope="session")
def bone_hospitals() -> tuple[BoneHospital, ...]:
    return SMALL


@pytest.fixture(scope="session")
def bone_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bone") / "cohort"
    write_cohort(folder, kind=BONE, seed=3, workers=1, hospitals=SMALL)
    return folder
