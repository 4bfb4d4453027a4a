"""The report of a hospital that has really trained: nothing in it names a patient or a machine."""

from pathlib import Path

import pytest

from client.site_report import write_site_report
from shared.privacy.report import Report
from tests.federation import prepared_site, write_site
from tests.private_studies import greet, private_study, trained

STUDY = private_study(rounds=2)


@pytest.fixture
def files(flower_ids: None, tmp_path: Path) -> list[Path]:
    """The three files after one round."""
    file = write_site(tmp_path / "A", (12, 12, 12), sections="[disclosure]\nmin_patients = 4\n")
    site = prepared_site(file, STUDY)
    head = greet(file, STUDY).head
    trained(file, STUDY, echo_head=head)
    return write_site_report(site)


def test_a_round_is_told_with_its_tensors_and_no_patient_or_path(files: list[Path], tmp_path: Path) -> None:
    text, page = files[0].read_text(), files[1].read_text()
    report = Report.model_validate_json(text)
    assert report.verdict.word == "WITHIN CAP"
    assert report.verdict.rounds_to_run == 1
    assert [row.outcome for row in report.events] == ["released"]
    (used,) = report.mechanisms
    assert any(name.startswith("branches.") for name in used.tensors)
    (cohort,) = report.provenance.cohorts
    assert "-" in cohort.bucket  # a bucket, never the number
    keys = [line.split(",")[0] for line in next(tmp_path.glob("A/state/store/*/patients.csv")).read_text().splitlines()]
    assert len(keys) > 30
    for written in (text, page):
        assert "PATIENT-" not in written
        assert str(tmp_path) not in written
        assert not [key for key in keys[1:] if key in written]
