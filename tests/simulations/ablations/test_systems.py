"""Every row of every published system is a study that can be read."""

from importlib.resources import files
from pathlib import Path

import pytest

from shared.models import ARCHITECTURES
from shared.study import Study, read_study
from simulations.ablations.row import Row
from simulations.ablations.systems import RIVALS, SYSTEMS
from simulations.adapt import override

ROWS = [(name, row) for name, system in SYSTEMS.items() for row in system.rows if row.settings and not row.cannot]


def packaged(name: str) -> Study:
    return read_study(Path(str(files("simulations.studies").joinpath(f"{name}.toml"))))


@pytest.mark.parametrize(("system", "row"), ROWS, ids=[f"{name} {row.axis} {row.value}" for name, row in ROWS])
def test_a_row_changes_its_study_and_keeps_it_valid(system: str, row: Row) -> None:
    for name in SYSTEMS[system].studies.values():
        study = packaged(name)
        assert override(study, row.settings).digest != study.digest


def test_every_axis_holds_the_study_as_it_is_once() -> None:
    for system in SYSTEMS.values():
        for axis in system.axes:
            rows = [row for row in system.rows if row.axis == axis]
            assert sum(not row.settings and not row.cannot for row in rows) == 1
            assert len({row.value for row in rows}) == len(rows)
        assert set(system.default_axes) <= set(system.axes)


def test_the_rivals_are_architectures_of_the_registry() -> None:
    assert set(RIVALS) <= set(ARCHITECTURES)
    for name, system in SYSTEMS.items():
        assert {row.value for row in system.rows if row.axis == "model"} - {*RIVALS} <= set(ARCHITECTURES), name


def test_published_figures_belong_to_a_task_of_the_system() -> None:
    for system in SYSTEMS.values():
        assert {task for row in system.rows for task in row.published} <= set(system.studies)
