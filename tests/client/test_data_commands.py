"""`mmfed-client prepare`, `check` and `exclude` from outside."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from client.approvals import approve
from client.cli import app
from shared.errors import BadInput
from shared.site import Site
from shared.study import Study
from tests.client.conftest import CONTENT
from tests.finished_runs import finished_run

runner = CliRunner()
SITE = 'schema = 1\n[site]\nid = "A"\n'


@pytest.fixture
def study_file(study: Study, tmp_path: Path) -> Path:
    path = tmp_path / "study.json"
    path.write_text(study.canonical())
    return path


def at(site: Site, *rest: str, catch: bool = True):
    command = ["--site", "A", "--config", str(site.data.parent / "site.toml"), *rest]
    return runner.invoke(app, command, catch_exceptions=catch)


CLINICAL = "case_id\tage_at_diagnosis\tsex\tgrade\nP1\t50\tmale\tG2\nP2\t\t\tG3\nP3\t61\tfemale\tII\n"


def test_preparing_without_any_approval_is_bad_input(site: Site) -> None:
    result = at(site, "prepare")
    assert isinstance(result.exception, BadInput)
    assert "expected an approved study at site A, got none" in str(result.exception)


def test_check_shows_values_and_ends_with_2_when_one_is_unmapped(site: Site, study_file: Path) -> None:
    (site.data / "clinical.tsv").write_text(CLINICAL)
    result = at(site, "check", str(study_file))
    assert result.exit_code == 2
    assert "site A: 3 patients" in result.output
    assert "fault:" in result.output
    assert "II" in result.output


def test_prepare_ends_with_3_when_a_patient_is_left_out(site: Site, study: Study, study_file: Path) -> None:
    (site.data / "clinical.tsv").write_text(CLINICAL)
    result = at(site, "prepare", "--study", str(study_file))
    assert result.exit_code == 3, result.output
    assert "1 inputs left out; see" in result.output
    assert "inputs: 1 used, 0 noted, 1 left out\n  1 x clinical.tsv: no modality of the study\n" in result.output
    assert "feature store written: 2 patients, clinical of 2\n" in result.output
    assert (site.state / "prepare-report.csv").is_file()
    approve(site, study, person="p")
    assert "reused" in at(site, "prepare").output
    assert (site.state / "prepare-report.html").is_file()


def test_check_compares_the_store_with_its_hashes(site: Site, study_file: Path) -> None:
    (site.data / "clinical.tsv").write_text(CLINICAL.replace("II", "G4"))
    assert "feature store: not there yet" in at(site, "check", str(study_file)).output
    at(site, "prepare", "--study", str(study_file))
    result = at(site, "check", str(study_file))
    assert result.exit_code == 0
    assert "all 2 files as they were written" in result.output
    next((site.state / "store").glob("*/clinical.h5")).write_bytes(b"rot")
    result = at(site, "check", str(study_file))
    assert result.exit_code == 2
    assert "got 1 changed or missing; run `prepare`" in result.output
    at(site, "prepare", "--study", str(study_file))
    assert at(site, "check", str(study_file)).exit_code == 0


def test_check_runs_the_scale_test_of_prepare(site: Site, tmp_path: Path) -> None:
    (site.data / "clinical.tsv").write_text(CLINICAL.replace("II", "G4"))
    (site.data / "expression.tsv").write_text("g\tP1\tP2\tP3\nTP53\t-1\t0.2\t0.8\nEGFR\t1\t-0.6\t-0.4\n")
    path = tmp_path / "genes.json"
    path.write_text(json.dumps({**CONTENT, "modalities": {"clinical": {}, "expression": {}}}))
    result = at(site, "check", str(path))
    assert result.exit_code == 2
    assert "modality expression: 0 of 3 patients" in result.output
    assert "fault: expression.tsv: expected values from 0 to 20" in result.output
    refused = at(site, "approve", str(path), "--yes")
    assert 'write scale = "z" in [expression]' in str(refused.exception)
    prepared = at(site, "prepare", "--study", str(path))
    assert "1 x expression.tsv: expected values from 0 to 20" in prepared.output
    assert "warning: nobody has expression" in prepared.output

    (site.data.parent / "site.toml").write_text(SITE + '[expression]\nscale = "z"\n')
    result = at(site, "check", str(path))
    assert (result.exit_code, "modality expression: 3 of 3 patients" in result.output) == (0, True), result.output


def test_only_does_not_finish_the_store(site: Site, study_file: Path) -> None:
    (site.data / "clinical.tsv").write_text(CLINICAL)
    at(site, "prepare", "--study", str(study_file), "--only", "clinical")
    assert not list((site.state / "store").glob("*/manifest.json"))
    result = at(site, "prepare", "--study", str(study_file), "--only", "slides")
    assert isinstance(result.exception, BadInput)
    assert "--only: expected some of clinical, got slides" in str(result.exception)


def test_a_wrong_number_of_workers_is_refused(site: Site, study_file: Path) -> None:
    result = at(site, "prepare", "--study", str(study_file), "--workers", "-1")
    assert isinstance(result.exception, BadInput)
    assert "--workers: expected 1 to 64, got -1" in str(result.exception)


def test_exclude_says_how_many_were_new(site: Site) -> None:
    (site.data / "clinical.tsv").write_text(CLINICAL)
    assert "1 patients added" in at(site, "exclude", "P1", "--reason", "r").output
    assert "1 patients added" in at(site, "exclude", "P1", "P2").output


def test_predict_ends_with_3_when_a_patient_is_left_out(site: Site, study: Study, tmp_path: Path) -> None:
    (site.data / "clinical.tsv").write_text(CLINICAL)
    run = finished_run(tmp_path / "run", study)
    with pytest.raises(BadInput, match="expected patients prepared as model small-"):
        at(site, "predict", "--model", str(run), catch=False)
    at(site, "prepare", "--study", str(run / "study.json"))
    result = at(site, "predict", "--model", str(run), "--out", str(tmp_path / "p.csv"))
    assert result.exit_code == 3, result.output
    assert "2 patients scored by small-" in result.output
    assert "1 left out: no modality of the study" in result.output
    assert not any(case in result.output for case in ("P1", "P2", "P3"))
    assert (tmp_path / "p.csv").read_text().count("research use only") == 3


def test_predict_without_a_model_is_bad_input(site: Site, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="expected --model or --list, got neither"):
        at(site, "predict", catch=False)
    with pytest.raises(BadInput, match="expected manifest.json, got none"):
        at(site, "predict", "--model", str(tmp_path), catch=False)


def test_purge_says_what_cannot_be_undone(site: Site, study_file: Path) -> None:
    (site.data / "clinical.tsv").write_text(CLINICAL)
    at(site, "prepare", "--study", str(study_file))
    result = at(site, "prepare", "--purge", "P1")
    assert result.exit_code == 0, result.output
    assert "1 patients excluded" in result.output
    assert "What cannot be undone: models that were already trained" in result.output
