"""How Flower's programs are started."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from shared.errors import WorkFailed
from shared.flower import SWITCHES, environment, program


def test_an_environment_has_a_home_of_its_own_and_every_switch(tmp_path: Path) -> None:
    env = environment(tmp_path / "home", tmp_path / "first", MMFED_RUNS="runs")
    assert env["FLWR_HOME"] == str(tmp_path / "home")
    assert (tmp_path / "home").is_dir()
    assert env["PATH"].split(os.pathsep)[:2] == [str(tmp_path / "first"), sysconfig.get_path("scripts")]
    assert env["MMFED_RUNS"] == "runs"
    assert env.items() >= SWITCHES.items()


@pytest.mark.slow
def test_flower_knows_the_switches(tmp_path: Path) -> None:
    check = (
        "from flwr.supercore.telemetry import FLWR_TELEMETRY_ENABLED as telemetry\n"
        "from flwr.supercore.superexec.run_superexec import _get_task_poll_interval\n"
        "from flwr.supercore.constant import FLWR_DISABLE_UPDATE_CHECK as update\n"
        "from flwr.common.constant import FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION as install\n"
        "import os\n"
        "print(telemetry, _get_task_poll_interval(), os.environ[update], os.environ[install])"
    )
    done = subprocess.run([sys.executable, "-c", check], env=environment(tmp_path), capture_output=True, text=True)
    assert done.stdout == "0 0.5 1 1\n", done.stderr


def test_programs_lie_beside_mmfed() -> None:
    assert Path(program("flower-supernode")).is_file()
    with pytest.raises(WorkFailed, match=r"expected flower-nothing beside mmfed in .*, got no such file; install"):
        program("flower-nothing")
