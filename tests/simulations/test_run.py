"""`python simulations/run.py`: once as a person types it, and what it says to wrong input."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import simulations
from shared.study import Study
from shared.study_toml import study_toml

SCRIPT = Path(simulations.__file__).with_name("run.py")
Command = Callable[..., tuple[int, str, str]]
CENTRAL = "--arms: expected some of federated, pooled, local, finetuned, personal, iid, got central; correct it"
NOWHERE = (
    "--cohort: expected a folder or one of `synthetic`, `bone`, `breast`, `features`, `lung`, got 'nowhere'; "
    "check the path"
)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run the script in this process, which has imported everything already: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--cache", str(tmp_path / "cache"), *arguments])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def study_file(make_study: Callable[..., Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A survival study with block scaling, so that options, aux and edges all travel through the file."""
    path = tmp_path_factory.mktemp("study") / "survival.toml"
    path.write_text(study_toml(make_study("task.kind=survival", "model.scale=block", "modalities.blood.route=numeric")))
    return path


@pytest.mark.slow
def test_one_command_leaves_a_run_that_its_own_study_repeats(
    tiny_cohort: Path, study_file: Path, command: Command, tmp_path: Path
) -> None:
    arguments = ["--study", str(study_file), "--cohort", str(tiny_cohort), "--rounds", "2", "--seed", "3"]
    process = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments, "--out", "first", "--cache", "cache"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": "", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "Federated" in process.stdout
    assert "Report: first/report.html" in process.stdout
    assert "The cohort has no blood: the study was run without." in process.stderr
    assert "TCGA-" not in process.stdout + process.stderr
    first = tmp_path / "first"
    for name in ("report.html", "metrics.json", "study.toml", "model.safetensors", "manifest.json"):
        assert (first / name).stat().st_size > 0
    code, _, _ = command("--study", str(first / "study.toml"), "--cohort", str(tiny_cohort), "--out", "again")
    again = tmp_path / "again"
    assert code == 0
    assert (again / "study.toml").read_text() == (first / "study.toml").read_text()
    assert (again / "model.safetensors").read_bytes() == (first / "model.safetensors").read_bytes()
    assert _scores(again) == _scores(first)


def _scores(folder: Path) -> tuple[Any, Any]:
    """The digest, and what every arm reached."""
    metrics = json.loads((folder / "metrics.json").read_text())
    places = ("own", "own_site_mean", "unseen", "sites")
    return metrics["study"]["digest"], {a: [arm[place] for place in places] for a, arm in metrics["arms"].items()}


def test_help_shows_examples(command: Command) -> None:
    code, out, _ = command("--help")
    assert code == 0
    assert "--cohort" in out
    assert "python simulations/run.py --cohort DIR --split tss --study glioma_idh" in " ".join(out.split())


def _one_sentence(answer: tuple[int, str, str]) -> str:
    """The error of a command that ended with exit code 2 and, beside log lines, said nothing else."""
    code, out, err = answer
    assert code == 2
    assert out == ""
    *logged, error = err.splitlines()
    assert all(line.startswith("warning: ") for line in logged)
    assert error.startswith("error: ")
    return error.removeprefix("error: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cohort", "nowhere"], NOWHERE),
        (["--arms", "federated,central"], CENTRAL),
        (["--study", "no_such"], "--study: expected a TOML file or one of bone, default, features_linear, "),
        (["--set", "training.rounds"], "--set: expected key=value, got 'training.rounds'; write e.g. --set "),
        (["--folds", "-1"], "--folds: expected at least 1, got -1; correct it"),
        (["--seed", "-2"], "--seed: expected 0 or more, or -1 for the study's, got -2; correct it"),
        (["--cohort", "/no/such"], "--cohort: expected a folder, got no such folder '/no/such'; check the path"),
    ],
)  # fmt: skip
def test_wrong_options_give_one_sentence(command: Command, arguments: list[str], message: str) -> None:
    assert _one_sentence(command(*arguments)).startswith(message)


def test_an_unknown_key_is_named(command: Command, tiny_cohort: Path) -> None:
    code, out, err = command("--cohort", str(tiny_cohort), "--set", "training.round=3")
    assert (code, out) == (2, "")
    assert err == (
        "error: --set: 1 fault\n  training.round: expected a known key, got an unknown one; write 'rounds'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "leave-one-out"], "--protocol: expected 'holdout', "),
        (["--protocol", "patient-kfold", "--folds", "1"], "--folds: expected greater than or equal to 2, got 1"),
        (["--rounds", "-1"], "--rounds: expected greater than or equal to 1, got -1"),
        (["--protocol", "leave-one-out", "--epsilon", "8"], "--protocol: expected 'holdout', "),
    ],
)
def test_a_fault_names_the_option_that_was_typed(command: Command, arguments: list[str], message: str) -> None:
    error = _told(command(*arguments))
    assert error.startswith(f"error: {message}")
    assert "leave-one-out" not in arguments or error.endswith('got "leave-one-out"; write leave-one-site-out')


def test_other_faults_stay_with_set(command: Command) -> None:
    _, _, err = command("--epsilon", "1e-9", "--set", "training.round=3", "--rounds", "-1")
    assert [line.split(":")[0] for line in err.splitlines()] == ["error", "--set", "  training.round"]
    assert _told(command("--epsilon", "1e-9")).startswith("error: --epsilon: expected an epsilon that some noise can")
    code, _, err = command("--set", "split.protocol=leave-one-out")
    assert (code, err.splitlines()[0]) == (2, "error: --set: 1 fault")


def _told(answer: tuple[int, str, str]) -> str:
    code, _, err = answer
    assert code == 2
    return err.removesuffix("\n")


def test_help_tells_every_cohort_and_the_split_that_is_taken(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = " ".join(command("--help")[1].replace("│", " ").split())
    assert "`features`" in text
    assert "default: tss for TCGA barcodes, column:site for other ids" in text


def test_a_cohort_without_the_data_of_a_study_is_named_as_it_was_typed(command: Command) -> None:
    error = _one_sentence(command("--cohort", "lung", "--study", "glioma_idh"))
    assert error == (
        "--cohort lung: expected files for at least one of slides, expression, got none; use another one, or another "
        "study than glioma-idh"
    )


def test_a_run_is_described_and_its_folder_is_its_own(command: Command, tiny_cohort: Path, tmp_path: Path) -> None:
    run = ["--study", "glioma_grade", "--cohort", str(tiny_cohort), "--rounds", "1", "--arms", "pooled", "--out", "run"]
    code, out, _ = command(*run)
    assert code == 0
    assert "Cohort: cohort, 82 patients of 4 hospitals (--split tss)" in out
    small = "7 patients of 1 hospital too small to train (--min-site-patients 20)"
    assert f"of 4 hospitals; {small} are among them, as unseen" in out
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    for other in (["--seed", "5"], ["--protocol", "leave-one-site-out"], ["--set", "training.local_epochs=3"]):
        error = _one_sentence(command(*run, *other))
        assert error.startswith("--out: expected a new folder, or one of glioma-grade (digest ")
        assert error.endswith(", cohort cohort) with other settings; choose another --out")
    lung = _told(command("--cohort", "lung", "--out", "run"))
    assert ", or one of lung (digest " in lung
    assert ", cohort lung), got run, which holds glioma-grade (digest " in lung
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before
    assert command(*run[:-4], "--arms", "pooled,local", "--out", "run")[0] == 0  # the same, and more


def test_a_refusal_leaves_no_folder(command: Command, tiny_cohort: Path, tmp_path: Path) -> None:
    run = ["--cohort", str(tiny_cohort), "--study", "glioma_grade", "--out", "none"]
    assert _told(command(*run, "--min-site-patients", "30")).endswith("choose another --split")
    assert not (tmp_path / "none").exists()


def test_a_split_by_an_input_of_the_model_is_warned_of(command: Command, tiny_cohort: Path) -> None:
    for study, column, used in (("glioma_survival", "sex", "a clinical input"), ("glioma_grade", "grade", "what the")):
        settings = ["--set", "modalities.clinical={}"] if column == "sex" else []
        split = ["--split", f"column:{column}", "--min-site-patients", "99"]
        _, _, err = command("--cohort", str(tiny_cohort), "--study", study, *split, *settings)
        assert f"warning: The patients are split by {column}, which is also {used}" in err


def test_a_file_is_no_run_folder(command: Command, tiny_cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    error = _one_sentence(command("--cohort", str(tiny_cohort), "--study", "glioma_grade", "--out", "taken"))
    assert error == "--out: expected a folder, got the file taken; name another"
    assert (tmp_path / "taken").read_text() == "mine"


def test_all_wrong_options_are_named_before_a_cohort_is_drawn(command: Command, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    wrong = ["--out", "taken", "--arms", "central", "--repeats", "0", "--folds", "-1", "--min-site-patients", "-1"]
    code, _, err = command(*wrong, "--seed", "-2", "--set", "training.round=3")
    options = [line.removeprefix("error: ").split(":")[0] for line in err.splitlines() if "--" in line]
    assert code == 2
    assert options == ["--arms", "--repeats", "--min-site-patients", "--folds", "--seed", "--out", "--set"]
    assert not (tmp_path / "cache").exists()


def test_sites_that_are_too_small_are_counted(command: Command, tiny_cohort: Path) -> None:
    error = _one_sentence(command("--cohort", str(tiny_cohort), "--study", "glioma_grade", "--min-site-patients", "30"))
    assert error.startswith("expected at least 2 sites with 30 usable patients")
    assert error.endswith("got 0 of 4; lower --min-site-patients or choose another --split")


def test_a_cohort_without_clinical_table_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    error = _one_sentence(command("--cohort", "empty"))
    assert error.startswith(
        "empty: expected clinical.tsv with a column case_id and one row a patient, got no such file"
    )


def test_repeated_case_ids_are_named_by_line(command: Command, tiny_cohort: Path, tmp_path: Path) -> None:
    cohort = shutil.copytree(tiny_cohort, tmp_path / "twice")
    with (cohort / "clinical.tsv").open("a") as file:
        file.write("TCGA-02-0000\t50\tmale\t10\t1\tG2\n")
    code, _, err = command("--cohort", str(cohort))
    assert code == 2
    assert "line 84: expected every case_id once, got again (first: line 2); remove one" in err
    assert "TCGA-02-0000" not in err
    assert "Traceback" not in err


def test_a_split_by_an_unknown_column_is_refused(command: Command, tiny_cohort: Path) -> None:
    error = _one_sentence(command("--cohort", str(tiny_cohort), "--study", "glioma_grade", "--split", "column:ward"))
    assert error == "clinical.tsv: expected a column 'ward' for --split, got none; name another column"


@pytest.mark.slow
def test_an_error_in_a_process_of_its_own_shows_no_traceback(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, str(SCRIPT), "--cohort", "nowhere"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert process.returncode == 2
    assert process.stdout == ""
    assert process.stderr == f"error: {NOWHERE}\n"
