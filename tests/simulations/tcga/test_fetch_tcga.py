"""`python simulations/fetch_tcga.py` as a person types it."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import simulations
from shared.cohort.tables import read_clinical
from tests.gdc_server import FakeGdc

SCRIPT = Path(simulations.__file__).with_name("fetch_tcga.py")
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    gdc: FakeGdc, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments, "--server", gdc.url])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, *capsys.readouterr()

    return run


PROJECTS = ("--project", "TCGA-GBM", "TCGA-LGG")


def test_a_dry_run_prints_the_size_and_writes_nothing(command: Command, gdc: FakeGdc, tmp_path: Path) -> None:
    code, out, _ = command(*PROJECTS, "--slides", "2", "--out", "cohort", "--dry-run")
    assert code == 0
    size = 2 * len(next(content for name, content in gdc.content.items() if name.startswith("s-"))) / 1000
    slides = next(line for line in out.splitlines() if line.startswith("slides"))
    assert slides.split()[1:] == [
        "2",
        "files",
        "2",
        "patients",
        f"{size:.1f}",
        "KB,",
        f"{size:.1f}",
        "KB",
        "to",
        "fetch",
    ]
    assert "a primary tumour (01, 03, 09) is taken first" in out
    assert not (tmp_path / "cohort").exists()
    assert {what for what, _ in gdc.requests} == {"cases", "files"}


def test_one_command_leaves_a_cohort(command: Command, labels: Callable[..., Path], tmp_path: Path) -> None:
    labels("patient,idh", "TCGA-02-0001,IDHwt", "TCGA-HT-0005,IDHmut")
    arguments = (*PROJECTS, "--labels", "labels.csv:patient", "--out", "cohort")
    code, out, err = command(*arguments, "--yes")
    assert code == 0, err
    assert "Cohort: cohort" in out
    assert "Labels: 2 of 6 patients are in labels.csv." in out
    assert "TCGA-02-0001" not in out + err
    assert read_clinical(tmp_path / "cohort")["idh"].tolist() == ["IDHwt", "", "", "", "IDHmut", ""]
    names = {path.name for path in (tmp_path / "cohort").iterdir()}
    assert names == {"clinical.tsv", "expression.tsv.gz", "mutations.tsv", "copy_number.tsv", "gdc"}


def test_nobody_is_asked_where_nobody_answers(command: Command) -> None:
    code, _, err = command(*PROJECTS, "--out", "cohort")
    assert code == 2
    assert "expected --yes or --dry-run where nobody can be asked, got neither" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--project", "TCGA-GMB"], "got 'TCGA-GMB'; write TCGA-GBM"),
        ([*PROJECTS, "--slides", "few"], "--slides: expected none, diagnostic or a number, got 'few'"),
        ([*PROJECTS, "--slides", "0"], "a number of --slides of 1 or more"),
        (
            [*PROJECTS, "--labels", "none.csv"],
            "--labels: expected a table FILE or FILE:case_column, got no file none.csv",
        ),
        ([*PROJECTS, "--genes", "none.gmt"], "none.gmt: expected a readable GMT file"),
    ],
)
def test_bad_options_end_with_2(arguments: list[str], message: str, command: Command) -> None:
    code, _, err = command(*arguments, "--yes")
    assert code == 2
    assert message in " ".join(err.split())


def test_a_failing_server_ends_with_1(command: Command, gdc: FakeGdc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    gdc.faults["cases"] = ["500"] * 6
    code, _, err = command(*PROJECTS, "--yes")
    assert code == 1
    assert "expected an answer, got status 500 6 times; finished files are kept" in " ".join(err.split())
