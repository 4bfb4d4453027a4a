"""`python simulations/ablate.py` on a small cohort of tables: every file, every row accounted for, resumed."""

import csv
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import simulations
from shared.study import Study, read_study
from simulations.ablations.ablation import Options, ablate

SCRIPT = Path(simulations.__file__).with_name("ablate.py")
Command = Callable[..., tuple[int, str, str]]
SMALL = ("--rounds", "1", "--set", "model.dim=16", "--set", "model.heads=2", "--out", "table")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run the script in this process, in a folder of its own: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--cache", str(tmp_path / "cache"), *arguments])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, *capsys.readouterr()

    return run


def packaged(name: str) -> Study:
    return read_study(SCRIPT.parent / "studies" / f"{name}.toml")


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    content = json.loads((folder / "ablation.json").read_text())
    return {f"{row['axis']} {row['value']}": row for row in content["rows"]}


@pytest.mark.slow
def test_a_table_accounts_for_every_row_and_is_resumed(command: Command, tiny_cohort: Path, tmp_path: Path) -> None:
    arguments = ["--axes", "decoder,grouping", "--seeds", "2", "--cohort", str(tiny_cohort), *SMALL]
    code, out, _ = command(*arguments)
    folder = tmp_path / "table"
    assert code == 0
    assert "Not run: grouping hallmark50: no gene file was given (--gmt)" in out
    rows = rows_of(folder)
    assert list(rows) == [
        "decoder on", "decoder off", "grouping functional groups", "grouping hallmark50", "grouping chunks",
    ]  # fmt: skip
    assert rows["decoder off"]["parameters"] < rows["decoder on"]["parameters"]
    assert rows["decoder on"]["values"] == rows["grouping functional groups"]["values"]
    own = rows["decoder off"]["values"]["own"]["auc"]
    assert own["low"] <= own["value"] <= own["high"]
    assert own["sd"] is not None
    assert set(rows["decoder off"]["differences"]) == {"own", "unseen"}
    assert rows["decoder on"]["differences"] == {}

    written = (folder / "ablation.md").read_text()
    assert "| **on** |" in written
    assert "accuracy .7756" not in written  # that figure belongs to a row of another axis
    assert "- hallmark50: not run: no gene file was given (--gmt)" in written
    assert "| Linear, expression only |" in written
    assert "not reported" in written
    with (folder / "ablation.csv").open() as file:
        lines = list(csv.DictReader(file))
    found = {(line["row"], line["place"], line["metric"]): line for line in lines}
    assert float(found["off", "own", "auc"]["mean"]) == own["value"]
    assert found["hallmark50", "", ""]["not_run"] == "no gene file was given (--gmt)"
    assert found["site_alone", "own", "auc"]["axis"] == "floor"
    for name in ("ablation.svg", "ablation.png"):
        assert (folder / name).stat().st_size > 5000
    everything = "".join(path.read_text() for path in folder.glob("ablation.*") if path.suffix != ".png")
    assert "TCGA-02-" not in everything

    trained = {path: path.stat().st_mtime_ns for path in (folder / "rows").iterdir()}
    assert len(trained) == 6  # two seeds of three models: two rows are the study as it is
    code, _, _ = command(*arguments)
    assert code == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "rows").iterdir()} == trained
    assert rows_of(folder) == rows


ONE_FOLD = (
    "--folds: expected --protocol patient-kfold, preserved-site-kfold or leave-one-site-out beside it, got holdout, "
    "which has one fold"
)
NOWHERE = "--cohort: expected a folder or one of `synthetic`, `bone`, `breast`, `features`, `lung`, got 'nowhere'"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--study", "s4"], "--study: expected one of s1, s2, s3, got 's4'; choose one of them"),
        (["--task", "stage"], "--task: expected one of grade, class, survival, got 'stage'; choose one of them"),
        (["--axes", "registers,depth"], "--axes: expected some of modality, modularity, decoder, "),
        (["--arm", "local"], "--arm: expected one of federated, pooled, got local; correct it"),
        (["--seeds", "0"], "--seeds: expected at least 1, got 0; correct it"),
        (["--gmt", "nowhere.gmt"], "--gmt: nowhere.gmt: expected a readable GMT file, got "),
        (["--gmt", str(SCRIPT)], f"--gmt: {SCRIPT}, line 1: expected name, description, genes; got fewer than three "),
        (["--min-site-patients", "-1"], "--min-site-patients: expected at least 1, got -1; correct it"),
        (["--seed", "-2"], "--seed: expected 0 or more, or -1 for the study's, got -2; correct it"),
        (["--folds", "2"], ONE_FOLD),
        (["--out", str(SCRIPT)], f"--out: expected a folder, got the file {SCRIPT}; name another"),
        (["--cohort", "nowhere"], NOWHERE),
    ],
)  # fmt: skip
def test_wrong_options_give_one_sentence(command: Command, arguments: list[str], message: str) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert len(err.splitlines()) == 1


def test_all_wrong_options_are_named_at_once(command: Command) -> None:
    wrong = ["--axes", "depth", "--arm", "local", "--seeds", "0", "--out", str(SCRIPT), "--gmt", str(SCRIPT)]
    _, _, err = command(*wrong)
    found = [line.removeprefix("error: ").split(":")[0] for line in err.splitlines()]
    assert found == ["--axes", "--arm", "--seeds", "--out", "--gmt"]


def test_what_cannot_be_run_is_said_before_the_first_training(tiny_cohort: Path, tmp_path: Path) -> None:
    order: list[str] = []
    options = Options(
        "s3", packaged("s3_glioma_grade"), str(tiny_cohort), axes=("modality",), task="grade", seeds=1,
        settings=("training.rounds=1", "model.dim=16", "model.heads=2"), out=tmp_path / "table", cache=tmp_path,
    )  # fmt: skip
    folder, content = ablate(options, lambda what, done, total: order.append(what), order.append)
    not_run = [line for line in order if "not run: " in line]
    assert [line.split(":")[0] for line in not_run] == [
        "modality slides", "modality expression", "modality with aux",
    ]  # fmt: skip
    assert max(order.index(line) for line in not_run) < order.index("reference")
    notes = {row["value"]: row["notes"] for row in content["rows"]}
    assert notes["slides + expression"] == []
    assert notes["with aux"] == ["The cohort has no copy_number and no mutations table."]
    assert "- with aux: The cohort has no copy_number and no mutations table." in (folder / "ablation.md").read_text()
