"""How mmfed starts Flower's programs: which ones, where they lie, and with which switches.

Imports no flwr, so that the switches are set before anything does.
"""

import os
import sysconfig
from pathlib import Path

from shared.errors import WorkFailed

__all__ = ["SWITCHES", "environment", "program"]

SWITCHES: dict[str, str] = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.5",
}
"""Nothing is sent to Flower's makers, nothing is installed at run time; a task is looked for every 0.5 s."""


def environment(home: Path, *first_on_path: Path, **more: str) -> dict[str, str]:
    """The environment of one Flower program.

    Parameters
    ----------
    home
        Its own FLWR_HOME; made when missing. Two programs never share one.
    first_on_path
        Folders that come first on PATH, before mmfed's own programs and what PATH held.
    more
        Further variables.
    """
    home.mkdir(parents=True, exist_ok=True)
    before = [*map(str, first_on_path), sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]
    return {**os.environ, **SWITCHES, "FLWR_HOME": str(home.resolve()), "PATH": os.pathsep.join(before), **more}


def program(name: str) -> str:
    """Absolute path of an installed Flower program such as `flower-supernode`.

    Raises
    ------
    WorkFailed
        Flower is not installed beside mmfed.
    """
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.is_file():
        raise WorkFailed(f"expected {name} beside mmfed in {path.parent}, got no such file; install mmfed again")
    return str(path)
