"""`check`, `prepare` and `approve` of a detection study, from outside."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from client.approvals import approve
from client.cli import app
from client.site_ledger import open_budget
from client.terms import describe
from shared.site import Site
from tests.picture_files import detection_study, write_pictures

runner = CliRunner()
STUDY = detection_study()


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    path = tmp_path / "study.json"
    path.write_text(STUDY.canonical())
    return path


def at(site: Site, *rest: str):
    return runner.invoke(app, ["--site", "A", "--config", str(site.data.parent / "site.toml"), *rest])


def test_check_counts_pictures_and_lesions(site: Site, study_file: Path):
    write_pictures(site.data, {f"P{i}": int(i > 2) for i in range(8)})
    (site.data / "exclude.csv").write_text("case_id,date,reason\nP7,2026-01-01,\n")
    result = at(site, "check", str(study_file))
    assert result.exit_code == 0, result.output
    assert "site A: 7 patients, 4 with the task's label" in result.output
    assert "1 excluded by exclude.csv" in result.output
    assert "nothing to prepare: a detection study reads the pictures" in result.output


def test_check_finds_a_site_that_marks_nothing_at_fault(site: Site, study_file: Path):
    write_pictures(site.data, {"P1": 1}, boxed=False)
    result = at(site, "check", str(study_file))
    assert result.exit_code == 2
    assert "fault: imaging.csv: expected boxes of lesions, got none; mark some" in result.output


def test_prepare_has_nothing_to_do(site: Site, study_file: Path):
    approve(site, STUDY, person="p")
    for result in (at(site, "prepare"), at(site, "prepare", "--study", str(study_file))):
        assert result.exit_code == 0, result.output
        assert "nothing to prepare" in result.output


@pytest.mark.slow
def test_the_terms_name_pictures_and_boxes(site: Site):
    terms = describe(STUDY, site, open_budget(site))
    assert "to find lesions: at most 2 clinical images a patient, and the boxes of imaging.csv" in terms
    assert "2,519,683 of them" in terms  # 2,508,643 parameters, the rest running statistics
    assert "clinical.tsv" not in terms
