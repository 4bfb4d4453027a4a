"""What all tests share: the rules of the property tests, and hospitals for those of a whole federation."""

from pathlib import Path

import pytest
from flwr.supercore.task_identity import TaskIdentity
from hypothesis import HealthCheck, settings

from tests.federation import Run, prepared_site, run, tiny_study, write_site

# a busy machine is no counterexample
settings.register_profile("mmfed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mmfed")


@pytest.fixture
def flower_ids() -> None:
    """What a Flower process sets before any Message can be made."""
    TaskIdentity.run_id = TaskIdentity.task_id = TaskIdentity.node_id = 1


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three prepared hospitals with 12, 15 and 12 training patients of the tiny study; C has no expression."""
    folder = tmp_path_factory.mktemp("sites")
    few = "[disclosure]\nmin_patients = 4\n"  # as few as the test patients of one class
    files = {
        "A": write_site(folder / "A", (8, 8, 8), sections=few),
        "B": write_site(folder / "B", (10, 10, 10), sections=few),
        "C": write_site(folder / "C", (9, 9, 9), expression=False, sections=few),
    }
    for file in files.values():
        prepared_site(file, tiny_study())
    return files


@pytest.fixture(scope="session")
def undisturbed(sites: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole run of the tiny study with A, B and C."""
    return run(tiny_study(), sites, tmp_path_factory.mktemp("undisturbed"))
