"""The gate in Flower's own process: what it replaces is still there, and only our bundle passes."""

import inspect
import os
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from client.clientapp_process import guarded
from client.supernode import GATE, GATED
from server.submission import job_folder
from tests.shared.test_bundle import pack


def test_flower_still_unpacks_the_bundle_through_the_name_that_the_gate_replaces() -> None:
    from flwr.supernode.runtime import run_clientapp

    assert callable(vars(run_clientapp)["install_from_fab"])
    source = inspect.getsource(run_clientapp.run_clientapp)
    assert source.index("install_from_fab(fab.content") < source.index("load_client_app_fn(")
    assert source.count("fab.content") == 1


def test_flower_still_takes_the_arguments_that_the_process_passes() -> None:
    from flwr.common.args import add_args_flwr_app_common
    from flwr.supernode.runtime.run_clientapp import run_clientapp

    parser = ArgumentParser()
    add_args_flwr_app_common(parser)
    args = parser.parse_args(["--token", "t"])
    assert {"token", "insecure", "root_certificates", "parent_pid"} <= set(vars(args))
    assert set(inspect.signature(run_clientapp).parameters) == {
        *("runtime_api_address", "token", "insecure", "certificates", "parent_pid", "runtime_dependency_install")
    }


def test_every_task_that_flower_can_start_has_an_executable_of_ours() -> None:
    from flwr.supercore.constant import TASK_TYPE_TO_COMMAND

    assert set(TASK_TYPE_TO_COMMAND.values()) == set(GATED) == {file.name for file in GATE.iterdir()}


def test_our_bundle_is_unpacked_by_flower(tmp_path: Path) -> None:
    from flwr.cli.install import install_from_fab

    folder = guarded(install_from_fab)(pack(job_folder()), install_dir=tmp_path, skip_prompt=True)
    assert [file.name for file in folder.iterdir()] == ["pyproject.toml"]


def test_a_bundle_with_code_is_refused_before_it_is_unpacked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = tmp_path / "job"
    (job / "client").mkdir(parents=True)
    text = (job_folder() / "pyproject.toml").read_text().replace('fab-include = ["pyproject.toml"]\n', "")
    (job / "pyproject.toml").write_text(text)
    (job / "client" / "app.py").write_text("raise SystemExit('foreign code')\n")

    def never(bundle: bytes) -> Path:
        raise AssertionError("unpacked")

    with pytest.raises(PermissionError, match=r"^BUNDLE_REFUSED$"):
        guarded(never)(pack(job))
    assert "expected the bundle that mmfed ships" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in GATED if name != "flwr-clientapp"])
def test_other_tasks_are_refused(name: str) -> None:
    done = subprocess.run([GATE / name, "--token", "t"], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{name}: refused: expected a client task" in done.stderr


def test_the_executable_wants_the_python_of_the_site() -> None:
    env = {key: value for key, value in os.environ.items() if key != "MMFED_PYTHON"}
    done = subprocess.run([GATE / "flwr-clientapp", "--token", "t"], env=env, capture_output=True, text=True)
    assert done.returncode != 0
    assert "start the site with mmfed-client" in done.stderr


@pytest.mark.slow
def test_the_executable_is_flowers_command_with_the_gate_in_it(tmp_path: Path) -> None:
    (tmp_path / "client").mkdir()
    (tmp_path / "client" / "__init__.py").write_text("raise SystemExit('the working directory was imported')\n")
    done = subprocess.run(
        [GATE / "flwr-clientapp", "--help"],
        env={**os.environ, "MMFED_PYTHON": sys.executable},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "--runtime-api-address" in done.stdout
