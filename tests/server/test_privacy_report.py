"""The consortium's report of a run: finished, unfinished, without privacy."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli import app
from server.heads import Heads
from server.privacy_report import run_facts, write_run_report
from shared.errors import BadInput
from shared.privacy.report import verify_report
from tests.federation import Run, run, write_site
from tests.private_studies import private_study

FEW = "[disclosure]\nmin_patients = 4\n"
runner = CliRunner()


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("private")
    files = {site: write_site(folder / site, (16, 16, 16), sections=FEW) for site in "AB"}
    return run(private_study(), files, folder / "runs")


def written(folder: Path, out: Path) -> dict:
    text = (write_run_report(folder, out)[0]).read_text()
    assert verify_report(text)
    return json.loads(text)


@pytest.mark.slow
def test_a_private_run_is_within_its_cap_at_every_site(private: Run, tmp_path: Path) -> None:
    report = written(private.folder, tmp_path)
    assert report["verdict"]["word"] == "WITHIN CAP"
    assert report["verdict"]["spent"] == private.metrics["privacy"]["A"]["epsilon"]
    for line in report["sites"]:
        assert (line["charges"], line["head"], line["bucket"]) == (3, "verified", "20-49")
    assert any(name.startswith("branches.clinical.") for name in report["mechanisms"][0]["tensors"])
    assert report["integrity"]["holds"]


def test_an_unfinished_run_is_told_from_its_checkpoint(private: Run, tmp_path: Path) -> None:
    facts = run_facts(private.folder, Heads(private.folder.parent / "ledger-heads.json"))
    (private.folder / "metrics.json").rename(tmp_path / "metrics.json")
    try:
        unfinished = run_facts(private.folder, Heads(private.folder.parent / "ledger-heads.json"))
    finally:
        (tmp_path / "metrics.json").rename(private.folder / "metrics.json")
    assert [(row.site, row.charges, row.bucket, row.scored) for row in unfinished.sites] == [
        ("A", 3, "20-49", False),
        ("B", 3, "20-49", False),
    ]
    assert [row.scored for row in facts.sites] == [True, True]


def test_a_run_without_privacy_says_so(undisturbed: Run, tmp_path: Path) -> None:
    report = written(undisturbed.folder, tmp_path)
    assert report["verdict"]["word"] == "NOT PRIVATE"
    assert [line["epsilon"] for line in report["sites"]] == [None, None, None]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected the folder of a run, got no study.json there"):
        write_run_report(tmp_path)


def test_the_command_wants_to_know_which_report(private: Run, tmp_path: Path) -> None:
    result = runner.invoke(app, ["report", str(private.folder)])
    assert isinstance(result.exception, BadInput)
    assert "expected --privacy" in str(result.exception)
    said = runner.invoke(app, ["report", "--privacy", str(private.folder), "--out", str(tmp_path)])
    assert said.output.count("privacy-report.") == 3
