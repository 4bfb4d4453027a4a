"""Run the coordinator: Flower's SuperLink and its SuperExec, started again when they die, stopped together."""

import fcntl
import json
import os
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from server.coordinator import SuperLink
from server.registry import forget_sites, register_sites
from shared.errors import BadInput, WorkFailed
from shared.flower import environment, program
from shared.logs import get_logger

__all__ = ["running", "up"]

log = get_logger()

START_S = 60.0
STOP_S = 15.0
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0


@dataclass
class Supervised:
    """One program that is to run until `up` ends. Its output goes to `log_file`."""

    command: list[str]
    env: dict[str, str]
    log_file: Path
    process: subprocess.Popen[bytes] | None = None
    pause_s: float = 1.0
    since: float = field(default=0.0)

    def start(self) -> None:
        """Start it in a process group of its own, so that it can be stopped with all it started."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, env=self.env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.since = time.monotonic()

    def revive(self) -> None:
        """Start it again if it has died, after a pause that doubles while it keeps dying."""
        if self.process is None or self.process.poll() is None:
            return
        name = Path(self.command[0]).name
        self.pause_s = 1.0 if time.monotonic() - self.since > STEADY_S else min(2 * self.pause_s, LONGEST_PAUSE_S)
        log.warning(
            "restarting", program=name, exit=self.process.returncode, pause_s=self.pause_s, log=str(self.log_file)
        )
        time.sleep(self.pause_s)
        self.start()

    def stop(self) -> None:
        """End it and what it started: SIGTERM, and SIGKILL after 15 s."""
        if self.process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            try:
                self.process.wait(STOP_S)
                return
            except subprocess.TimeoutExpired:
                continue


def up(folder: Path, runs: Path) -> None:
    """Run SuperLink and SuperExec until SIGTERM or SIGINT; ServerApps write their run folders under `runs`.

    Raises
    ------
    BadInput
        The folder was not provisioned, or this coordinator runs already.
    WorkFailed
        The SuperLink does not answer within 60 s, for instance because its port is taken.
    """
    link = SuperLink(folder)
    with _only_one(folder, runs), _signals():
        superlink, superexec = _superlink(link), _superexec(link, runs)
        try:
            if not _database(link).exists():
                forget_sites(link)
            superlink.start()
            _wait_until_healthy(link, superlink)
            superexec.start()
            register_sites(link)
            log.info("up", address=link.address, sites=list(link.coordinator.sites), runs=str(runs.resolve()))
            while True:
                superlink.revive()
                superexec.revive()
                time.sleep(0.5)
        except KeyboardInterrupt:
            log.info("stopping")
        finally:
            superexec.stop()
            superlink.stop()


def running(folder: Path) -> dict[str, str] | None:
    """`pid` and `runs` of the `up` that runs in this folder, or None."""
    path = _lock_file(folder)
    if not path.is_file():
        return None
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            content: dict[str, str] = json.load(file)
            return content
    return None


def _database(link: SuperLink) -> Path:
    return link.folder / "flower" / "state.db"


def _superlink(link: SuperLink) -> Supervised:
    folder = link.folder
    command = [
        *(program("flower-superlink"), "--host", "127.0.0.1", "--port", str(link.coordinator.port)),
        *("--ssl-ca-certfile", str(folder / "ca.crt"), "--ssl-certfile", str(folder / "server.crt")),
        *("--ssl-keyfile", str(folder / "server.key"), "--enable-supernode-auth"),
        *("--database", str(_database(link)), "--disable-runtime-dependency-installation"),
        *("--isolation", "process", "--superexec-auth-secret-file", str(folder / "superexec.secret")),
    ]
    return Supervised(command, environment(folder / "flower" / "superlink"), folder / "logs" / "superlink.log")


def _superexec(link: SuperLink, runs: Path) -> Supervised:
    folder = link.folder
    command = [
        *(program("flower-superexec"), "--runtime-api-address", link.address),
        *("--root-certificates", str(folder / "ca.crt")),
        *("--superexec-auth-secret-file", str(folder / "superexec.secret"), "--parent-pid", str(os.getpid())),
    ]
    # a run sees online nodes only: the registry tells it for whom to wait
    sites = ",".join(sorted(link.coordinator.sites))
    env = environment(folder / "flower" / "superexec", MMFED_RUNS=str(runs.resolve()), MMFED_SITES=sites)
    return Supervised(command, env, folder / "logs" / "superexec.log")


def _wait_until_healthy(link: SuperLink, superlink: Supervised) -> None:
    context = ssl.create_default_context(cafile=str(link.folder / "ca.crt"))
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if superlink.process is not None and superlink.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"https://{link.address}/health", timeout=5, context=context):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise WorkFailed(
        f"expected a SuperLink at {link.address} within {START_S:.0f} s, got none; "
        f"is the port free? its own words are in {superlink.log_file}"
    )


def _lock_file(folder: Path) -> Path:
    return folder / "flower" / "up.json"


@contextmanager
def _only_one(folder: Path, runs: Path) -> Iterator[None]:
    """Hold the lock that says that this coordinator runs; the system frees it however the process ends."""
    path = _lock_file(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise BadInput(
                f"expected no coordinator running in {folder}, got one; `mmfed-server stop` ends it"
            ) from exc
        file.truncate(0)
        json.dump({"pid": str(os.getpid()), "runs": str(runs.resolve())}, file)
        file.flush()
        yield


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM, and the end of the terminal, end `up` as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for again in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(again, signal.SIG_IGN)  # stopping is under way; it ends by itself
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
