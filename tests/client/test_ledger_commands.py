"""What a hospital sees of its ledger, and what `approve` tells and refuses of a private study."""

import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from client.approvals import approved
from client.cli import app
from client.site_ledger import ledger_folder, open_budget
from shared.errors import BadInput, Refused, WorkFailed
from shared.privacy.report import verify_report
from shared.site import read_site
from shared.study import Study
from tests.federation import prepared_site, tiny_study, write_site
from tests.private_studies import greet, private_study, trained

pytestmark = pytest.mark.usefixtures("flower_ids")
STUDY = private_study()
runner = CliRunner()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A prepared hospital that has approved nothing that is private."""
    path = write_site(tmp_path / "A", (8, 8, 8), sections="[disclosure]\nmin_patients = 4\n")
    prepared_site(path, tiny_study())
    return path


def at(file: Path, *rest: str) -> Result:
    return runner.invoke(app, ["--site", "A", "--config", str(file), *rest])


def written(study: Study, folder: Path) -> str:
    path = folder / f"{study.digest[:8]}.json"
    path.write_text(study.canonical())
    return str(path)


def one_round(file: Path) -> None:
    prepared_site(file, STUDY)
    greet(file, STUDY)
    trained(file, STUDY)


def test_approve_tells_the_cost_against_the_cap(file: Path, tmp_path: Path) -> None:
    said = at(file, "approve", written(STUDY, tmp_path), "--yes", "--person", "Dr. Ada Example")
    assert said.exit_code == 0, said.output
    assert "the whole study costs this site an epsilon of 4.00 at delta 1e-05" in said.output
    assert "Someone who is 50 % sure that a patient took part can become at most 98 % sure." in said.output
    assert "spent here so far: 0.00 of 8; after this study 4.00" in said.output
    assert "3 rounds of 4 steps, and two more messages" in said.output
    assert "no count of patients but its size bucket" in said.output
    assert "once, at the end: counts and histograms" in said.output
    assert "NOT PRIVATE" not in said.output
    assert approved(read_site(file), STUDY.digest)


@pytest.mark.slow
def test_approve_refuses_what_does_not_fit_below_the_cap(file: Path, tmp_path: Path) -> None:
    one_round(file)
    dear = private_study(privacy={"epsilon": 7.9})
    said = at(file, "approve", written(dear, tmp_path), "--yes")
    assert isinstance(said.exception, BadInput)
    assert "expected a study that fits into privacy.epsilon_cap of 8" in str(said.exception)
    assert "BEYOND THE CAP: about" in said.output
    assert not approved(read_site(file), dear.digest)


def test_approve_lints(file: Path, tmp_path: Path) -> None:
    study = private_study(privacy={"sigma": 0.4})
    said = at(file, "approve", written(study, tmp_path), "--yes")
    assert isinstance(said.exception, BadInput)
    assert "DP002" in str(said.exception)
    known = private_study(privacy={"noise_source": "test-seeded"})
    said = at(file, "approve", written(known, tmp_path), "--yes")
    assert "DP013" in str(said.exception)
    assert "NOT PRIVATE: the noise comes from a known seed" in said.output


def test_show_lists_what_happened_and_what_is_spent(file: Path) -> None:
    one_round(file)
    said = at(file, "ledger", "show").output
    assert [line.split()[2] for line in said.splitlines()[:8]] == [
        *("policy", "approval", "approval", "cohort", "aux", "head", "charge", "released"),
    ]
    spent = open_budget(read_site(file)).spent().epsilon
    assert f"epsilon {spent:.1f}"[:-1] in said
    assert "of 8 spent at delta 1e-05 (add/remove one patient)" in said
    assert "PATIENT-" not in said
    last = at(file, "ledger", "show", "--last", "1", "--kind", "charge").output.splitlines()
    assert len(last) == 3
    assert "round 1, attempt 1, sample_rate 0.25" in last[0]


def test_project_says_what_would_fit(file: Path, tmp_path: Path) -> None:
    said = at(file, "ledger", "project", written(STUDY, tmp_path))
    assert said.exit_code == 0
    assert "3 of its 3 rounds fit" in said.output
    one_round(file)
    dear = private_study(privacy={"epsilon": 7.9})
    said = at(file, "ledger", "project", written(dear, tmp_path))
    assert isinstance(said.exception, WorkFailed)
    assert "2 of its 3 rounds fit" in said.output
    assert "NOT PRIVATE" in at(file, "ledger", "project", written(tiny_study(), tmp_path)).output


def test_verify_tells_what_it_checked(file: Path) -> None:
    one_round(file)
    said = at(file, "ledger", "verify")
    assert said.exit_code == 0
    assert "9 entries" in said.output


def test_a_changed_ledger_is_told_and_reported(file: Path) -> None:
    one_round(file)
    with sqlite3.connect(ledger_folder(read_site(file)) / "ledger.sqlite") as base:
        for (trigger,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            base.execute(f"DROP TRIGGER {trigger}")
        base.execute("UPDATE entry SET body = replace(body, '\"steps\":4', '\"steps\":1') WHERE seq = 7")
    base.close()
    said = at(file, "ledger", "verify")
    assert isinstance(said.exception, Refused | WorkFailed)
    assert "entry 7" in str(said.exception) + said.output
    said = at(file, "privacy-report", "--out", str(file.parent / "report"))
    assert said.exit_code == 0
    assert "LEDGER BROKEN" in (file.parent / "report" / "privacy-report.html").read_text()


def test_the_report_is_written_where_asked_and_after_every_round(file: Path, tmp_path: Path) -> None:
    one_round(file)
    kept = ledger_folder(read_site(file)) / "privacy-report.json"
    assert verify_report(kept.read_text())
    said = at(file, "privacy-report", "--out", str(tmp_path / "report"))
    assert [Path(line).name for line in said.output.splitlines()] == [
        "privacy-report.json",
        "privacy-report.html",
        "privacy-report.pdf",
    ]
    assert "PATIENT-" not in (tmp_path / "report" / "privacy-report.json").read_text()
