"""The coordinator's folder, and Flower's command line pointed at its SuperLink."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from shared.documents import Document, parse, read_toml
from shared.errors import BadInput, LinkError, WorkFailed
from shared.flower import environment, program

__all__ = ["FILE", "Coordinator", "SuperLink", "read_coordinator"]

FILE = "coordinator.toml"
CONNECTION = "mmfed"
PATIENCE_S = 120.0


class Coordinator(Document):
    """`coordinator.toml`: where hospitals reach the SuperLink, its port on this machine, the sites that may connect."""

    schema_: Literal[1] = Field(alias="schema")
    address: Annotated[str, Field(pattern=r"^[^\s:/\"]+:\d{1,5}$")]
    port: Annotated[int, Field(ge=1, le=65535)]
    sites: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")], ...]

    @classmethod
    def checked(cls, address: str, port: int, sites: Sequence[str]) -> "Coordinator":
        """From command line arguments; a site that comes twice counts once. BadInput lists every fault."""
        content = {"schema": 1, "address": address, "port": port, "sites": list(dict.fromkeys(sites))}
        return parse(content, cls, BadInput, "provision")

    @property
    def host(self) -> str:
        """The host name or IP address under which hospitals reach the SuperLink."""
        return self.address.rsplit(":", 1)[0]

    @property
    def local(self) -> str:
        """The loopback address on which the SuperLink itself listens."""
        return f"127.0.0.1:{self.port}"


def read_coordinator(folder: Path) -> Coordinator:
    """Read the coordinator's folder; BadInput when it was never provisioned."""
    path = folder / FILE
    if not path.is_file():
        raise BadInput(f"expected {path}, got no such file; run `mmfed-server provision` first, or give --home")
    return read_toml(path, Coordinator, BadInput)


class SuperLink:
    """The running SuperLink of a coordinator's folder, reached through Flower's own `flwr` command.

    The Control API asks nobody who they are (FLOWER.md section 4): it is used over loopback only.
    """

    def __init__(self, folder: Path) -> None:
        self.coordinator = read_coordinator(folder)
        self.folder = folder.resolve()
        self.address = self.coordinator.local

    def register(self, site: str) -> str:
        """Let the owner of `keys/<site>.pub` connect under the name `site`; its node id, "" if it was known before."""
        key = str(self.folder / "keys" / f"{site}.pub")
        answer = self._ask("supernode", "register", key, CONNECTION, "--name", site)
        if not answer["success"] and "already in use" not in answer["error-message"]:
            raise WorkFailed(f"expected site {site} to be registered, got: {answer['error-message']}")
        return str(answer.get("node-id", ""))

    def nodes(self) -> dict[str, str]:
        """Node id -> online, offline or registered."""
        return {node["node-id"]: node["status"] for node in self._told("supernode", "ls", CONNECTION)["nodes"]}

    def start(self, job: Path, run_config: Path) -> int:
        """Start one run of the bundle in `job` with the values of the TOML file `run_config`; its run id."""
        return int(self._told("run", str(job), CONNECTION, "-c", str(run_config))["run-id"])

    def runs(self) -> list[dict[str, Any]]:
        """Every run the SuperLink knows, newest first, as `flwr ls` describes it."""
        return list(self._told("ls", CONNECTION)["runs"])

    def run(self, run_id: int) -> dict[str, Any]:
        """One run; BadInput when there is none of that id."""
        found = [run for run in self.runs() if int(run["run-id"]) == run_id]
        if not found:
            raise BadInput(f"expected the id of a run, got {run_id}; see `mmfed-server status`")
        return found[0]

    def stop(self, run_id: int) -> None:
        """Stop one run; its checkpoints stay."""
        self._told("stop", str(run_id), CONNECTION)

    def log_command(self, run_id: int, follow: bool) -> tuple[list[str], dict[str, str]]:
        """Command line and environment that print a run's log, until it ends when `follow`."""
        return [
            program("flwr"),
            "log",
            str(run_id),
            CONNECTION,
            "--stream" if follow else "--show",
        ], self._environment()

    def _told(self, *args: str) -> dict[str, Any]:
        answer = self._ask(*args)
        if not answer["success"]:
            raise WorkFailed(f"expected `flwr {args[0]}` to succeed, got: {answer['error-message']}")
        return answer

    def _ask(self, *args: str) -> dict[str, Any]:
        """Run `flwr ARGS --format json` and parse what it prints."""
        done = subprocess.run(
            [program("flwr"), *args, "--format", "json"],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        start = done.stdout.find("{")
        if start < 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise LinkError(
                f"expected an answer of the SuperLink at {self.address}, got: {said[-1] if said else done.returncode}; "
                "is `mmfed-server up` running?"
            )
        answer: dict[str, Any] = json.loads(done.stdout[start:])
        if not answer["success"]:
            answer["error-message"] = _sentence(answer["error-message"])
            if "SuperLink is unavailable" in answer["error-message"]:
                raise LinkError(f"expected a SuperLink at {self.address}, got none; is `mmfed-server up` running?")
        return answer

    def _environment(self) -> dict[str, str]:
        """Flower's command line takes the address from a file under FLWR_HOME, and wants absolute paths in it."""
        home = self.folder / "flower" / "operator"
        env = environment(home, COLUMNS="200")
        certificate = json.dumps(str(self.folder / "ca.crt"), ensure_ascii=False)
        (home / "config.toml").write_text(
            f'[superlink]\ndefault = "{CONNECTION}"\n\n[superlink.{CONNECTION}]\naddress = "{self.address}"\n'
            f"root-certificates = {certificate}\n",
            encoding="utf-8",
        )
        return env


def _sentence(text: str) -> str:
    """What Flower says in several lines, without the line that names the connection."""
    lines = [line.strip() for line in text.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith("Using SuperLink"))
