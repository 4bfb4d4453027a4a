"""The supervisor: what dies comes back, what is stopped is gone with its children, one coordinator a folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from server import up
from server.coordinator import SuperLink
from server.provision import provision
from server.up import Supervised, running
from shared.errors import BadInput


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended but was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def sleeper(tmp_path: Path) -> Supervised:
    """A program that starts a child and sleeps."""
    command = ["/bin/sh", "-c", "sleep 60 & echo $!; wait"]
    return Supervised(command, dict(os.environ), tmp_path / "logs" / "sleeper.log")


def test_stopping_ends_the_program_and_its_children(sleeper: Supervised) -> None:
    sleeper.start()
    until(lambda: sleeper.log_file.read_text().strip() != "")
    child = int(sleeper.log_file.read_text())
    assert alive(child)
    sleeper.stop()
    assert sleeper.process is not None
    assert sleeper.process.returncode == -signal.SIGTERM
    until(lambda: not alive(child))


def test_a_program_that_dies_is_started_again_after_growing_pauses(
    sleeper: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(up.time, "sleep", pauses.append)
    sleeper.start()
    for _ in range(3):
        assert sleeper.process is not None
        first = sleeper.process
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        sleeper.revive()
        assert sleeper.process is not first
        assert sleeper.process.poll() is None
    monkeypatch.undo()  # waiting for the end sleeps, too
    sleeper.stop()
    assert pauses == [2.0, 4.0, 8.0]


def test_a_program_that_lives_is_left_alone(sleeper: Supervised) -> None:
    sleeper.start()
    before = sleeper.process
    sleeper.revive()
    assert sleeper.process is before
    sleeper.stop()


def test_stopping_what_was_never_started_is_nothing(sleeper: Supervised) -> None:
    sleeper.stop()
    assert sleeper.process is None


def test_one_coordinator_a_folder(tmp_path: Path) -> None:
    provision(tmp_path, ["A"], "127.0.0.1:8443")
    assert running(tmp_path) is None
    hold = (
        "import sys, time, pathlib\nfrom server.up import _only_one\n"
        "with _only_one(pathlib.Path(sys.argv[1]), pathlib.Path('runs')):\n print('held', flush=True)\n time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        found = running(tmp_path)
        assert found is not None
        assert found["pid"] == str(holder.pid)
        with pytest.raises(BadInput, match="expected no coordinator running in"):
            up.up(tmp_path, tmp_path / "runs")
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout:
            holder.stdout.close()
    assert running(tmp_path) is None


def test_runs_are_told_their_folder_and_for_whom_to_wait(tmp_path: Path) -> None:
    provision(tmp_path, ["C", "A", "B"], "127.0.0.1:8443")
    env = up._superexec(SuperLink(tmp_path), tmp_path / "runs").env
    assert (env["MMFED_RUNS"], env["MMFED_SITES"]) == (str(tmp_path / "runs"), "A,B,C")


def test_up_wants_a_provisioned_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="run `mmfed-server provision` first"):
        up.up(tmp_path, tmp_path / "runs")
