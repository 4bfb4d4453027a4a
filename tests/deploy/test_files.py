"""The files under deploy/ say what the programs do."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from server import up
from server.coordinator import SuperLink
from server.provision import provision
from shared.flower import SWITCHES
from shared.site import read_site

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture
def link(tmp_path: Path) -> SuperLink:
    provision(tmp_path, ["A"], "fl.example.org:8443", port=18443)
    return SuperLink(tmp_path)


def test_the_example_site_file_is_valid(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "hospital" / "site.toml", tmp_path)
    (tmp_path / "data").mkdir()
    site = read_site(tmp_path / "site.toml")
    assert site.values["grade"] == {"II": "G2", "III": "G3", "IV": "G4"}
    assert site.column_rule("os_months").source == "survival_days"


@pytest.mark.parametrize("part", ["superlink", "superexec"])
def test_the_commands_are_those_of_up(link: SuperLink, tmp_path: Path, part: str) -> None:
    program = tmp_path / f"flower-{part}"
    program.write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done; env | grep -E "^(FLWR|MMFED|RAY)_" >&2\n')
    program.chmod(0o755)
    script = DEPLOY / "superlink" / "commands.sh"
    done = subprocess.run(
        [script, part, link.folder, "/runs"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

    ours = up._superlink(link) if part == "superlink" else up._superexec(link, Path("/runs"))
    words = ours.command[1:]
    if part == "superexec":  # the parent that ends it is `up`, which is not there
        words = words[: words.index("--parent-pid")]
    assert sorted(done.stdout.split("\n")[:-1]) == sorted(words)
    variables = dict(line.split("=", 1) for line in done.stderr.splitlines())
    assert variables.items() >= SWITCHES.items()
    assert variables["FLWR_HOME"] == ours.env["FLWR_HOME"]


def test_a_wrong_part_is_refused(link: SuperLink) -> None:
    script = DEPLOY / "superlink" / "commands.sh"
    done = subprocess.run([script, "supernode", link.folder, "/runs"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "expected superlink or superexec, got supernode" in done.stderr


def test_the_proxy_lets_the_fleet_api_and_health_pass_and_nothing_else() -> None:
    text = (DEPLOY / "superlink" / "nginx.conf").read_text()
    locations = re.findall(r"location (.+?)\s*\{ (\S+)", text)
    assert locations == [("/v1/fleet/", "proxy_pass"), ("= /health", "proxy_pass"), ("/", "return")]


def test_every_command_of_the_readme_exists() -> None:
    import typer.main

    from client.cli import app as client_app
    from server.cli import app as server_app

    text = (DEPLOY / "README.md").read_text()
    server_words = set(re.findall(r"^mmfed-server (\w+)", text, re.MULTILINE))
    client_words = set(re.findall(r"^mmfed-client --site A (\w+)", text, re.MULTILINE))
    assert server_words == {"provision", "up", "submit"}
    assert server_words <= set(typer.main.get_command(server_app).commands)
    assert client_words == {"check", "approve", "prepare"}
    assert client_words <= set(typer.main.get_command(client_app).commands)


@pytest.mark.slow
@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_start_script_tries_again_unless_the_input_is_bad(tmp_path: Path, code: int) -> None:
    (tmp_path / "mmfed-client").write_text(f"#!/bin/sh\necho started >> {tmp_path}/starts\nexit {code}\n")
    (tmp_path / "sleep").write_text("#!/bin/sh\n/bin/sleep 0.1\n")
    for name in ("mmfed-client", "sleep"):
        (tmp_path / name).chmod(0o755)
    process = subprocess.Popen(
        [DEPLOY / "hospital" / "start.sh", "A"], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, stderr=subprocess.DEVNULL
    )
    if code == 2:
        assert process.wait(10) == 2
        assert (tmp_path / "starts").read_text() == "started\n"
        return
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        assert (tmp_path / "starts").read_text().count("started") > 1
    finally:
        process.terminate()
        assert process.wait(10) == 0
