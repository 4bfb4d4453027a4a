"""The whole deployment on this machine: TLS, node keys, gate, three sites, one study; nothing is left running."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from flwr.app import Context, RecordDict
from safetensors.numpy import load_file

import client.app
import server.app
from client.approvals import approve
from client.prepare.preparation import prepare
from client.prepare.settings import PrepareSettings
from server.submission import read_submittable
from shared.privacy.report import verify_report
from shared.site import read_site
from simulations.inline import InlineGrid
from tests.deploy.conftest import STUDY, write_hospital

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
SITES = {"A": 40, "B": 30, "C": 24}
BIN = Path(sys.executable).parent
ENV = {**os.environ, "OMP_NUM_THREADS": "1"}


@dataclass
class Federation:
    """A running coordinator and its sites."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "coordinator"

    def site_file(self, site: str) -> Path:
        return self.home / "kits" / site / "site.toml"

    def start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as output:
            self.processes[name] = subprocess.Popen(command, env=ENV, stdout=output, stderr=subprocess.STDOUT)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()


def run(*command: str, code: int = 0) -> str:
    """Run one of our commands to its end; what it said, its own lines last."""
    done = subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=800)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr + done.stdout


def client_of(federation: Federation, site: str, *rest: str) -> list[str]:
    return [str(BIN / "mmfed-client"), "--site", site, "--config", str(federation.site_file(site)), *rest]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(text: str, federation: Federation, name: str, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while text not in federation.log(name):
        assert federation.processes[name].poll() is None, federation.log(name)
        assert time.monotonic() < until, federation.log(name)
        time.sleep(0.2)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory, study_file: Path) -> Iterator[Federation]:
    """Provisioned, prepared, approved by all three sites, and up. Everything is stopped by process id."""
    found = Federation(tmp_path_factory.mktemp("federation"))
    address = f"127.0.0.1:{free_port()}"
    run(str(BIN / "mmfed-server"), "provision", *SITES, "--address", address, "--home", str(found.home))
    run(str(BIN / "mmfed-server"), "submit", str(study_file), "--check")
    for seed, (site, patients) in enumerate(SITES.items()):
        write_hospital(found.site_file(site).parent / "data", patients, seed)
    run(*client_of(found, "A", "approve", str(study_file.with_suffix(".json")), "--yes", "--person", "tester"))
    run(*client_of(found, "A", "prepare"))
    for site in ("B", "C"):  # the same without a process each
        opened, study = read_site(found.site_file(site)), read_submittable(study_file)
        approve(opened, study, person="tester")
        prepare(opened, PrepareSettings.of(study))
    try:
        up = ("up", "--home", str(found.home), "--runs", str(found.folder / "runs"))
        found.start("up", str(BIN / "mmfed-server"), *up)
        wait_for('"event": "up"', found, "up")
        for site in SITES:
            found.start(site, *client_of(found, site))
        yield found
    finally:
        for process in found.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in found.processes.values():
            process.wait(60)


def in_process(federation: Federation, study_file: Path, runs: Path) -> Path:
    """The same study, apps and feature stores over the in-process Grid; its run folder."""
    study = read_submittable(study_file)
    config = {"study": base64.b64encode(study.canonical().encode()).decode(), "digest": study.digest}
    nodes = {site: {"site": site, "site-file": str(federation.site_file(site))} for site in SITES}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        context = Context(
            run_id=7,
            node_id=1,
            node_config={},
            state=RecordDict(),
            run_config={**config, "runs": str(runs)},
            series_id=1,
        )
        server.app.app(grid=InlineGrid(client.app.app, nodes, config), context=context)
    finally:
        torch.set_num_threads(before)
    return runs / f"{study.name}-7"


def test_a_submitted_study_trains_to_the_weights_of_the_simulation(
    federation: Federation, study_file: Path, tmp_path: Path
) -> None:
    said = run(str(BIN / "mmfed-server"), "submit", str(study_file), "--wait", "--home", str(federation.home))
    folder = Path(said.strip().splitlines()[-1].split("completed: ")[1])

    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["refused"] == {}
    assert [sorted(one["sites"]) for one in metrics["arms"]["federated"]["rounds"]] == [["A", "B", "C"]] * 2
    deployed = load_file(folder / "model.safetensors")
    simulated = load_file(in_process(federation, study_file, tmp_path) / "model.safetensors")
    assert deployed.keys() == simulated.keys()
    for name, array in deployed.items():
        np.testing.assert_array_equal(array, simulated[name], err_msg=name, strict=True)

    received = {site: read_site(federation.site_file(site)).state / "models" for site in SITES}
    for folder_of_site in received.values():
        (model,) = folder_of_site.iterdir()
        assert (model / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    listed = run(*client_of(federation, "A", "predict", "--list"))
    said = run(*client_of(federation, "A", "predict", "--model", listed.strip().splitlines()[-1].split(": ")[0]))
    assert f"{SITES['A']} patients scored by loopback-" in said
    assert "research use only" in said
    assert "P-0-" not in said

    status = run(str(BIN / "mmfed-server"), "status", "--home", str(federation.home))
    assert "finished:completed" in status
    assert all(f"site {site}: online" in status for site in SITES)


def test_a_study_that_two_sites_have_not_approved_is_refused_by_them(federation: Federation, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(STUDY.replace('name = "loopback"', 'name = "other"\nseed = 1'))
    approve(read_site(federation.site_file("A")), read_submittable(other), person="tester")

    said = run(str(BIN / "mmfed-server"), "submit", str(other), "--wait", "--home", str(federation.home), code=1)

    assert "B: NOT_APPROVED; C: NOT_APPROVED" in said
    assert "finished:failed" in said


PRIVACY = """
[privacy]
mode = "local"
epsilon = 4.0
delta = 1e-5
sample_rate = 0.25
steps_per_round = 4
expected_batch = 4.0
"""


def test_a_private_study_is_charged_at_every_site_and_reported(federation: Federation, tmp_path: Path) -> None:
    path = tmp_path / "private.toml"
    path.write_text(STUDY.replace('name = "loopback"', 'name = "private"') + PRIVACY)
    run(str(BIN / "mmfed-server"), "submit", str(path), "--check")
    resolved = str(path.with_suffix(".json"))
    said = run(*client_of(federation, "A", "approve", resolved, "--yes", "--person", "tester"))
    assert "epsilon of 4.00 at delta 1e-05" in said
    run(*client_of(federation, "A", "prepare"))
    for site in ("B", "C"):
        opened, study = read_site(federation.site_file(site)), read_submittable(path)
        approve(opened, study, person="tester")
        prepare(opened, PrepareSettings.of(study))

    said = run(str(BIN / "mmfed-server"), "submit", str(path), "--wait", "--home", str(federation.home))
    folder = Path(said.strip().splitlines()[-1].split("completed: ")[1])
    told = json.loads((folder / "metrics.json").read_text())["privacy"]
    assert {site: (one["mode"], one["charges"]) for site, one in told.items()} == dict.fromkeys(SITES, ("local", 2))
    assert {round(one["epsilon"], 2) for one in told.values()} == {4.0}
    heads = json.loads((folder.parent / "ledger-heads.json").read_text())
    assert {site: len(found) for site, found in heads.items()} == dict.fromkeys(SITES, 4)
    said = run(str(BIN / "mmfed-server"), "report", "--privacy", str(folder))
    assert said.count("privacy-report.") == 3

    for site in SITES:
        state = read_site(federation.site_file(site)).state / "privacy"
        text = (state / "privacy-report.json").read_text()
        assert verify_report(text)
        report = json.loads(text)
        assert report["verdict"]["word"] == "NOT PRIVATE"  # the study before it sent plain updates
        assert report["numbers"]["pld"] == pytest.approx(told[site]["epsilon"])
        assert [row["outcome"] for row in report["events"]] == ["acknowledged", "acknowledged"]
        assert (state / "privacy-report.pdf").read_bytes().startswith(b"%PDF")
    assert "2 of its 2 rounds fit" in run(*client_of(federation, "A", "ledger", "project", resolved))
    assert "signatures" in run(*client_of(federation, "A", "ledger", "verify"))
    shown = run(*client_of(federation, "A", "ledger", "show"))
    assert "epsilon 4.00 of 8 spent at delta 1e-05" in shown
    assert "P-0-" not in shown


def test_everything_stops_and_nothing_is_left(federation: Federation) -> None:
    for site in SITES:
        federation.processes[site].send_signal(signal.SIGTERM)
    for site in SITES:
        federation.processes[site].wait(60)
    assert "stopped" in run(str(BIN / "mmfed-server"), "stop", "--home", str(federation.home))
    assert federation.processes["up"].wait(60) == 0

    until, left = time.monotonic() + 30, ["?"]
    while left and time.monotonic() < until:
        left = [line for line in commands() if str(federation.folder) in line or str(federation.home) in line]
        time.sleep(0.5)
    assert left == []


def commands() -> list[str]:
    """The command lines of all processes."""
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
