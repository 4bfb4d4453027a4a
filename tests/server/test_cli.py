"""`mmfed-server` from outside: help, exit codes, one-sentence errors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from server.cli import app
from shared.errors import BadInput, StudyError
from tests.server.conftest import STUDY

runner = CliRunner()


def test_every_command_has_help_with_an_example() -> None:
    for name, command in typer.main.get_command(app).commands.items():
        assert command.help, name
        assert f"mmfed-server {name}" in command.epilog, name


def test_provision_names_the_kits(tmp_path: Path) -> None:
    result = runner.invoke(app, ["provision", "A", "B", "--home", str(tmp_path), "--address", "127.0.0.1:9999"])
    assert result.exit_code == 0
    assert f"{tmp_path / 'kits' / 'A'}: bring this folder to site A" in result.output
    assert result.output.count("bring this folder") == 2


def test_check_writes_what_hospitals_approve_and_starts_nothing(study_file: Path) -> None:
    result = runner.invoke(app, ["submit", str(study_file), "--check"])
    assert result.exit_code == 0, result.output
    assert study_file.with_suffix(".json").is_file()
    assert "digest " in result.output
    assert "genes" not in result.output


def test_check_says_how_many_genes_a_study_takes(study_file: Path) -> None:
    study_file.write_text(STUDY + '[modalities.expression]\ngenes = "panel"\n')
    assert "genes: 105 in 6 groups\n" in runner.invoke(app, ["submit", str(study_file), "--check"]).output
    (study_file.parent / "own.gmt").write_text("all\tx\tTP53\tEGFR\n")
    study_file.write_text(STUDY + '[modalities.expression]\ngenes = "own.gmt"\n')
    assert "genes: 2 in 1 group\n" in runner.invoke(app, ["submit", str(study_file), "--check"]).output


def test_status_of_a_coordinator_that_does_not_run(tmp_path: Path) -> None:
    runner.invoke(app, ["provision", "A", "--home", str(tmp_path), "--address", "127.0.0.1:9999"])
    result = runner.invoke(app, ["status", "--home", str(tmp_path)])
    assert (result.exit_code, result.output) == (0, "coordinator 127.0.0.1:9999: not running\n")
    assert runner.invoke(app, ["stop", "--home", str(tmp_path)]).output == "coordinator not running\n"


@pytest.mark.slow
def test_architectures_are_listed_and_then_the_trained_models(tmp_path: Path) -> None:
    (tmp_path / "small-1").mkdir()
    (tmp_path / "small-1" / "model.safetensors").write_bytes(b"abc")
    result = runner.invoke(app, ["models", "--runs", str(tmp_path)])
    architectures, trained = result.output.split(f"Trained models under {tmp_path}")
    assert [line.split()[0] for line in architectures.splitlines() if "461,061" in line] == ["abmil"]
    assert "ba7816bf8f01  0.0 MB" in trained


def test_a_study_without_governance_is_bad_input(study_file: Path) -> None:
    text = STUDY.replace("[governance]", "[other]")
    study_file.write_text(text)
    result = runner.invoke(app, ["submit", str(study_file)])
    assert isinstance(result.exception, StudyError)


def test_submit_wants_a_coordinator(study_file: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, ["submit", str(study_file), "--home", str(tmp_path / "none")])
    assert isinstance(result.exception, BadInput)
    assert "run `mmfed-server provision` first" in str(result.exception)


@pytest.mark.slow
def test_all_faults_are_listed_and_the_exit_code_is_2(study_file: Path) -> None:
    study_file.write_text(STUDY + "[training]\nruonds = 3\nbatch_size = -1\n")
    line = [sys.executable, "-c", "from server.cli import main; main()", "submit", str(study_file)]
    done = subprocess.run(line, env=dict(os.environ), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {study_file}: 2 faults\n")
    assert "training.ruonds: expected a known key, got an unknown one; write 'rounds'" in done.stderr
    assert "training.batch_size: expected" in done.stderr


def test_the_command_line_itself_imports_no_torch() -> None:
    check = "import sys, server.cli, client.cli; print([m for m in ('torch', 'flwr', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout == "[]\n"
