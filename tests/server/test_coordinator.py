"""Flower's command line, pointed at one coordinator's SuperLink."""

import tomllib
from pathlib import Path

import pytest

from server.coordinator import SuperLink
from server.provision import provision
from shared.errors import BadInput, LinkError, WorkFailed


@pytest.fixture
def link(tmp_path: Path) -> SuperLink:
    provision(tmp_path / "a folder", ["A"], "fl.example.org:8443", port=18443)
    return SuperLink(tmp_path / "a folder")


def answering(link: SuperLink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> Path:
    """Put a `flwr` in place that notes how it was called and prints `text`; the note's path."""
    program = tmp_path / "flwr"
    program.write_text(f'#!/bin/sh\necho "$FLWR_HOME" "$@" >> {tmp_path}/calls\ncat {tmp_path}/answer\n')
    program.chmod(0o755)
    (tmp_path / "answer").write_text(text)
    monkeypatch.setattr("server.coordinator.program", lambda name: str(program))
    return tmp_path / "calls"


def test_the_superlink_is_used_over_loopback_only(link: SuperLink) -> None:
    assert link.address == "127.0.0.1:18443"
    assert link.coordinator.host == "fl.example.org"


def test_flower_finds_address_and_certificate(link, monkeypatch, tmp_path) -> None:
    calls = answering(link, monkeypatch, tmp_path, '{"success": true, "runs": []}')
    assert link.runs() == []
    home = Path(calls.read_text().rsplit(" ls ", 1)[0].strip())
    config = tomllib.loads((home / "config.toml").read_text())
    assert config["superlink"]["mmfed"] == {
        "address": "127.0.0.1:18443",
        "root-certificates": str(link.folder / "ca.crt"),
    }


def test_a_site_is_registered_under_its_own_name(link, monkeypatch, tmp_path) -> None:
    calls = answering(link, monkeypatch, tmp_path, 'a warning\n{"success": true, "node-id": 42}')
    assert link.register("A") == "42"
    assert calls.read_text().strip().endswith("keys/A.pub mmfed --name A --format json")


def test_a_site_that_is_known_already_is_fine(link, monkeypatch, tmp_path) -> None:
    answering(link, monkeypatch, tmp_path, '{"success": false, "error-message": "Public key already in use."}')
    assert link.register("A") == ""


def test_a_site_that_cannot_be_registered_is_an_error(link, monkeypatch, tmp_path) -> None:
    answering(link, monkeypatch, tmp_path, '{"success": false, "error-message": "no"}')
    with pytest.raises(WorkFailed, match="expected site A to be registered, got: no"):
        link.register("A")


def test_a_run_starts_from_folder_and_file(link, monkeypatch, tmp_path) -> None:
    calls = answering(link, monkeypatch, tmp_path, '{"success": true, "run-id": "77"}')
    assert link.start(Path("/job"), Path("/study.toml")) == 77
    assert calls.read_text().strip().endswith("run /job mmfed -c /study.toml --format json")


def test_what_flower_refuses_is_passed_on(link, monkeypatch, tmp_path) -> None:
    answering(
        link, monkeypatch, tmp_path, '{"success": false, "error-message": "Using SuperLink: mmfed\\n\\nthe\\n reason"}'
    )
    with pytest.raises(WorkFailed, match="expected `flwr stop` to succeed, got: the reason"):
        link.stop(77)


def test_an_unknown_run_is_bad_input(link, monkeypatch, tmp_path) -> None:
    answering(link, monkeypatch, tmp_path, '{"success": true, "runs": [{"run-id": "1"}]}')
    assert link.run(1) == {"run-id": "1"}
    with pytest.raises(BadInput, match="expected the id of a run, got 2; see `mmfed-server status`"):
        link.run(2)


def test_nodes_by_id(link, monkeypatch, tmp_path) -> None:
    answering(link, monkeypatch, tmp_path, '{"success": true, "nodes": [{"node-id": "42", "status": "online"}]}')
    assert link.nodes() == {"42": "online"}


def test_an_answer_that_is_none_names_the_address(link, monkeypatch, tmp_path) -> None:
    answering(link, monkeypatch, tmp_path, "Connection refused")
    with pytest.raises(LinkError, match=r"SuperLink at 127.0.0.1:18443, got: Connection refused; is `mmfed-server up`"):
        link.runs()


@pytest.mark.slow
def test_a_superlink_that_is_not_there(link: SuperLink) -> None:
    with pytest.raises(
        LinkError, match=r"^expected a SuperLink at 127.0.0.1:18443, got none; is `mmfed-server up` running\?$"
    ):
        link.runs()
